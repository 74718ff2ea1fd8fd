// Verifies an access token with jose and with oauth4webapi, as their documentation says.
// Arguments: issuer, audience. The token is read from standard input. Prints one JSON object.
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import { text } from 'node:stream/consumers'

const [issuer, audience] = process.argv.slice(2)
const token = (await text(process.stdin)).trim()
const http = { [oauth.allowInsecureRequests]: true } // the server under test has no TLS

const url = new URL(issuer)
const found = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...http })
const server = await oauth.processDiscoveryResponse(url, found)

async function attempt(verify) {
  try {
    return { claims: await verify() }
  } catch (fault) {
    return { fault: fault.code ?? String(fault) }
  }
}

const jose = await attempt(async () => {
  const keys = createRemoteJWKSet(new URL(server.jwks_uri))
  const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt' })
  return payload
})
const oauth4webapi = await attempt(async () => {
  const request = new Request(audience, { headers: { authorization: `Bearer ${token}` } })
  return oauth.validateJwtAccessToken(server, request, audience, http)
})
console.log(JSON.stringify({ jose, oauth4webapi }))
