//! Schemas of the formats, in the repository: made from the types, so that they cannot be wrong.

/// Panics when `loadgen/schema/NAME` is not the schema of `T`. With `UPDATE_SCHEMA` set it is written
/// first.
pub fn assert_stored<T: schemars::JsonSchema>(name: &str) {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(T)).unwrap() + "\n";
    let path = format!("{}/schema/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == schema,
        "{name}: run this test with UPDATE_SCHEMA=1 and look at the difference"
    );
}
