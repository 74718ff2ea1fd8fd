// What users of node-oidc-provider run: client credentials, in-memory store, ES256 JWT access
// tokens for one resource. Arguments: port, file with base64 `id:secret` lines.
import { readFileSync } from "node:fs";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { Provider } from "oidc-provider";

const [port, credentials] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;
const resource = "https://api.example.com";
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const clients = readFileSync(credentials, "utf8").trim().split("\n").map((line) => {
  const [client_id, client_secret] = Buffer.from(line, "base64").toString().split(":");
  return {
    client_id,
    client_secret,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: "client_secret_basic",
    id_token_signed_response_alg: "ES256",
  };
});

const provider = new Provider(issuer, {
  clients,
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), alg: "ES256", use: "sig", kid: randomUUID() }] },
  scopes: ["bookings:read", "customers:read"],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      getResourceServerInfo: () => ({
        scope: "bookings:read customers:read",
        audience: resource,
        accessTokenTTL: 3600,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
