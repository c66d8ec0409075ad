//! A report against the schema in the repository.
//!
//! The keywords that the schema uses, and no others: one that is not known here fails the test, so
//! nothing goes unchecked.

use serde_json::Value;

/// Panics with the place where `report` does not match `loadgen/schema/run-2.json`.
pub fn assert_valid(report: &Value) {
    assert_valid_by(report, "run-2.json");
}

/// Panics with the place where `report` does not match a schema in `loadgen/schema`.
pub fn assert_valid_by(report: &Value, schema: &str) {
    let path = format!("{}/schema/{schema}", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    if let Err(error) = validate(report, &schema, &schema, "report") {
        panic!("{error}");
    }
}

fn validate(value: &Value, schema: &Value, root: &Value, at: &str) -> Result<(), String> {
    let fail = |what: String| Err(format!("{at}: {what}, and is {value}"));
    for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "format" | "$defs" | "default" => {}
            "$ref" => {
                let name = wanted.as_str().unwrap();
                match name.strip_prefix("#/$defs/") {
                    Some(name) => validate(value, &root["$defs"][name], root, at)?,
                    None => assert_valid_by(value, name),
                }
            }
            "type" if !is_of(value, wanted) => return fail(format!("should be {wanted}")),
            "type" => {}
            "const" if value != wanted => return fail(format!("should be {wanted}")),
            "const" => {}
            "enum" if !wanted.as_array().unwrap().contains(value) => {
                return fail(format!("should be one of {wanted}"));
            }
            "enum" => {}
            "minimum" if value.as_f64().is_some_and(|n| Some(n) < wanted.as_f64()) => {
                return fail(format!("should be at least {wanted}"));
            }
            "maximum" if value.as_f64().is_some_and(|n| Some(n) > wanted.as_f64()) => {
                return fail(format!("should be at most {wanted}"));
            }
            "minimum" | "maximum" => {}
            "required" => {
                for name in wanted.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        return fail(format!("should have {name}"));
                    }
                }
            }
            "properties" => properties(value, wanted, root, at)?,
            "additionalProperties" | "patternProperties" => others(value, schema, root, at)?,
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(item, wanted, root, &format!("{at}[{n}]"))?;
                }
            }
            "anyOf" | "oneOf" => {
                let all = wanted.as_array().unwrap().iter();
                let matching = all.filter(|one| validate(value, one, root, at).is_ok());
                if matching.count() == 0 {
                    return fail(format!("should match {wanted}"));
                }
            }
            other => panic!("{at}: the schema uses {other}, which is not checked here"),
        }
    }
    Ok(())
}

fn properties(value: &Value, wanted: &Value, root: &Value, at: &str) -> Result<(), String> {
    for (name, schema) in wanted.as_object().unwrap() {
        if let Some(inner) = value.get(name) {
            validate(inner, schema, root, &format!("{at}.{name}"))?;
        }
    }
    // Whoever reads a report may rely on the schema: nothing is written that is not in it.
    for name in value.as_object().into_iter().flat_map(|all| all.keys()) {
        if wanted.get(name).is_none() {
            return Err(format!("{at}: {name} is not in the schema"));
        }
    }
    Ok(())
}

fn others(value: &Value, schema: &Value, root: &Value, at: &str) -> Result<(), String> {
    let patterns = schema["patternProperties"].as_object();
    // schemars writes the keys of a map of numbers as one pattern.
    let wanted = match patterns.and_then(|patterns| patterns.values().next()) {
        Some(pattern) => pattern,
        None => &schema["additionalProperties"],
    };
    if wanted.is_object() {
        for (name, inner) in value.as_object().into_iter().flatten() {
            validate(inner, wanted, root, &format!("{at}.{name}"))?;
        }
    }
    Ok(())
}

fn is_of(value: &Value, wanted: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("no type is called {other}"),
    };
    match wanted {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        other => panic!("{other} is no type"),
    }
}
