// The operator's API over the network: passwords are not read on the way to it, somebody may use
// it, and nobody may whom no name tells from others.
import { formatName, isSomebody } from '../../access/names.ts'
import { areSameAddress, isLoopback } from '../addresses.ts'
import type { Judge } from '../judge.ts'
import type { Settings } from '../schema/schema.ts'

export function judgeAdmin(judge: Judge, settings: Settings): void {
  checkRules(judge, settings)
  const { admin, http, access } = settings
  const { api } = admin
  if (api === undefined) return
  const path = ['admin', 'api']
  if (areSameAddress(api, http.addr) || areSameAddress(api, admin.addr)) {
    const other = areSameAddress(api, http.addr) ? 'http.addr' : 'admin.addr'
    judge.note(path, { message: `is the address of ${other}; each listener needs its own` })
  }
  if (!isLoopback(api) && http.tls === undefined) {
    const message =
      'is reached from other machines, and without http.tls whoever is on the way reads the passwords: set http.tls, or a loopback address'
    judge.note(path, { message })
  }
  if (access.some(({ allow }) => allow.includes('admin'))) return
  const others = access.length > 0 ? '' : ', and behind it what others may, who else get nothing'
  const message = `nobody may use it: no rule of access allows admin; the first may be { who: NAME, match: "**", allow: [pull, push, delete, list, admin] }${others}`
  judge.note(path, { severity: 'warning', message })
}

function checkRules(judge: Judge, { admin, access }: Settings): void {
  for (const [index, { who, match, tags, allow }] of access.entries()) {
    if (!allow.includes('admin')) continue
    const path = ['access', index, 'allow']
    if (!isSomebody(who)) {
      const message = `admin is for an account, a group or a certificate, and ${formatName(who)} is whoever comes`
      judge.note(path, { message })
    }
    if (match !== '**' || tags.length > 0) {
      const message = 'admin is about the whole edge: it takes a rule with match "**" and no tags'
      judge.note(path, { message })
    }
    if (admin.api !== undefined) continue
    const message =
      'admin changes nothing: without admin.api the operator’s API is on the socket alone'
    judge.note(path, { severity: 'warning', message })
  }
}
