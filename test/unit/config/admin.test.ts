// Goal: who opens the operator's API to other machines is told what would leave it open, or closed
// to all. Method: configurations as text.
import t from 'tap'
import { complaints, configOf } from '../../kit/load-text.ts'

const LOOPBACK = 'admin: { api: "127.0.0.1:5002" }\n'
const rule = (who: string, more = 'match: "**", allow: [pull, admin]') =>
  `access: [{ who: "${who}", ${more} }]\n`

t.test('R743: without admin.api the API is on the socket alone', async t => {
  t.equal(configOf('').admin.api, undefined)
})

t.test('R743: passwords are not sent so that others read them', async t => {
  for (const address of [':5002', '0.0.0.0:5002', '10.0.0.1:5002', 'edge.lan:5002'])
    t.match(
      complaints(`admin: { api: "${address}" }`).join('\n'),
      /error: admin\.api: is reached from other machines, and without http\.tls/,
      address,
    )
  t.notMatch(complaints(LOOPBACK).join('\n'), /without http\.tls/)
})

t.test('R743: it has an address of its own', async t => {
  t.match(complaints('admin: { api: "127.0.0.1:5001" }').join('\n'), /address of admin\.addr/)
  t.match(complaints('admin: { api: "127.0.0.1:5000" }').join('\n'), /address of http\.addr/)
})

t.test('R743: one that nobody may use is warned of', async t => {
  const nobody = /warning: admin\.api: nobody may use it/
  t.match(complaints(LOOPBACK).join('\n'), nobody)
  t.match(complaints(LOOPBACK + rule('*', 'match: "**", allow: [pull]')).join('\n'), nobody)
  t.match(complaints(LOOPBACK).join('\n'), /behind it what others may/)
  t.notMatch(complaints(LOOPBACK + rule('cert:ops')).join('\n'), nobody)
  t.match(complaints(rule('cert:ops')).join('\n'), /admin changes nothing: without admin\.api/)
})

t.test('R743: admin is for nobody who is not known by a name', async t => {
  for (const who of ['*', 'anonymous', 'local', 'net:10.0.0.0/8', 'group:oidc:github'])
    t.match(
      complaints(LOOPBACK + rule(who)).join('\n'),
      /error: access\[0\]\.allow: admin is for an account, a group or a certificate/,
      who,
    )
})

t.test('R743: admin is about the whole edge', async t => {
  const whole = /error: access\[0\]\.allow: admin is about the whole edge/
  for (const more of [
    'match: "docker.io/**", allow: [admin]',
    'match: "**", tags: [v1], allow: [push, admin]',
  ])
    t.match(complaints(LOOPBACK + rule('cert:ops', more)).join('\n'), whole, more)
  t.notMatch(complaints(LOOPBACK + rule('cert:ops')).join('\n'), whole)
})
