// node token.mjs LIBRARY ISSUER SCOPE: prints the token endpoint's answer, or its error code.
// The credentials are in HOURPASS_CLIENT_ID and HOURPASS_CLIENT_SECRET.
import * as openid from "openid-client";
import { ClientCredentials } from "simple-oauth2";

const [library, issuer, scope] = process.argv.slice(2);
const { HOURPASS_CLIENT_ID: id, HOURPASS_CLIENT_SECRET: secret } = process.env;

async function openidClient(authentication) {
  const options = { algorithm: "oauth2", execute: [openid.allowInsecureRequests] };
  const config = await openid.discovery(new URL(issuer), id, undefined, authentication, options);
  return openid.clientCredentialsGrant(config, { scope });
}

async function simpleOauth2(authorizationMethod) {
  const auth = { tokenHost: issuer, tokenPath: "/token" };
  const client = new ClientCredentials({
    client: { id, secret },
    auth,
    options: { authorizationMethod },
  });
  return (await client.getToken({ scope })).token;
}

const libraries = {
  "openid-client, Basic": () => openidClient(openid.ClientSecretBasic(secret)),
  "openid-client, post": () => openidClient(openid.ClientSecretPost(secret)),
  "simple-oauth2, Basic": () => simpleOauth2("header"),
  "simple-oauth2, post": () => simpleOauth2("body"),
};

try {
  console.log(JSON.stringify(await libraries[library]()));
} catch (fault) {
  // openid-client: a 401 has a challenge, and its body is then left to the caller.
  const body = fault.data?.payload ?? (await fault.response?.json()) ?? fault;
  console.log(JSON.stringify({ error: body.error ?? String(fault) }));
}
