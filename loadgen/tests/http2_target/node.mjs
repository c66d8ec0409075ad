// Node's HTTP/2 server, another implementation than the generator's: 200 to GET, the request's body
// to POST. With a certificate and its key, over TLS. Prints its port, and what it counted when
// standard input ends.
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const [cert, key] = process.argv.slice(2);
const counted = { sessions: 0, requests: 0, bytes: 0 };
const server = cert
  ? http2.createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) })
  : http2.createServer();
server.on("session", () => (counted.sessions += 1));
server.on("stream", (stream, headers) => {
  counted.requests += 1;
  stream.respond({ ":status": 200 });
  stream.on("data", (chunk) => (counted.bytes += chunk.length));
  if (headers[":method"] === "POST") stream.pipe(stream);
  else stream.end();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume();
process.stdin.on("end", () => {
  console.log(JSON.stringify(counted));
  process.exit(0);
});
