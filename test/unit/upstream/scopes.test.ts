// Goal: a token is asked for what a request needs, whatever the challenge says (R117, R143).
// Method: challenges and targets, as a table.
import t from 'tap'
import { pullScope, pushScope, scopesFor } from '../../../src/upstream/auth/scopes.ts'

t.test('scopes of a pull, a push and a mount', async t => {
  t.equal(pullScope('a/b'), 'repository:a/b:pull')
  t.equal(pushScope('a/b'), 'repository:a/b:pull,push')
  t.equal(pushScope('a/b', 'c'), 'repository:a/b:pull,push repository:c:pull')
})

t.test('a challenge decides for pulls; for pushes both are asked for, once', async t => {
  const pull = 'repository:a:pull'
  const push = 'repository:a:pull,push'
  const cases = [
    [[], pull, [pull]],
    [['aws'], pull, ['aws']],
    [['repository:x/a:pull'], pull, ['repository:x/a:pull']],
    [[], push, [push]],
    [[], `${push} repository:A:pull`, ['repository:A:pull', push]],
    [[pull], push, [push]],
    [['repository:a:push,pull'], push, [push]],
    [['repository:a:delete'], push, ['repository:a:delete,pull,push']],
    [['aws'], push, ['aws', push]],
    [['repository:user/image:pull'], push, [push, 'repository:user/image:pull']],
  ] as const
  for (const [challenged, target, scopes] of cases) t.same(scopesFor(challenged, target), scopes)
})
