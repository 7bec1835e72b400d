// Goal: limits of one client are read as they are meant, and those that nobody can mean are told.
// Method: configurations as text.
import t from 'tap'
import { complaints, configOf } from '../../kit/load-text.ts'

const told = (limits: string, http = '') => complaints(`http: { ${http} limits: { ${limits} } }\n`)

t.test('R712: nobody is limited unless it is said', async t => {
  t.equal(configOf('').http.limits, undefined)
  t.same(configOf('http: { limits: { address: { requests: 100 } } }').http.limits, {
    address: { requests: 100 },
    account: {},
  })
  t.match(told('address: { requests: 0 }'), [/http\.limits\.address\.requests/])
  t.match(told('address: { pulls: 5 }'), [/http\.limits\.address\.pulls/])
})

t.test('R714: limits that change nothing, or end pulls, are warned of', async t => {
  t.same(told('address: { requests: 100, streams: 50, uploads: 20 }'), [])
  t.match(told('address: { requests: 4 }'), [
    /warning: http\.limits\.address\.requests: is less than a client may have .* for one image/,
  ])
  t.match(told('address: { requests: 100, uploads: 200 }'), [
    /warning: http\.limits\.address\.uploads: changes nothing: there are 100 requests at most/,
  ])
  t.match(told('account: { requests: 100 }'), [
    /warning: http\.limits\.account\.requests: changes nothing: without auth/,
  ])
  t.match(told('address: { streams: 128 }', 'streams: 128,'), [
    /warning: http\.limits\.address\.streams: changes nothing: all together have 128/,
  ])
})
