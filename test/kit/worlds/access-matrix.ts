// Asks every form of request of every repository as everybody, on every thread, and tells what was
// not as the model has it: what somebody may not see must be answered to the byte as what is
// nowhere, and what somebody may see must be right.
import {
  compared,
  type Form,
  FORMS,
  type Place,
  type PlaceContent,
  spell,
  type Spelled,
  type Spelling,
  SPELLINGS,
} from './access-forms.ts'
import { type Asker, mayByRules, mayDo, type ModelRule, refusalOf } from '../judges/access-model.ts'
import { type AccessWorld, NOWHERE, THE_CHIEF, wayOf, type WorldAsker } from './access-world.ts'
import { askAlone, type PipelinedClient } from '../clients/pipelined-client.ts'
import type { ThreadAnswer } from '../clients/thread-clients.ts'

/**
 * Of how many one is asked in a round: all of them take minutes. TLS changes nothing of how an
 * answer is found. `WHOLE_MATRIX=1`: each is.
 */
const EVERY = { plain: 6, tls: 12, tokens: 12 } as const
const IS_WHOLE = process.env['WHOLE_MATRIX'] === '1'

/** What was asked for so often is in memory. */
const WARM_AFTER = 3

export interface Round {
  /** What it is called where something leaks. */
  readonly state: string
  readonly rules: readonly ModelRule[]
  /** Who is told as nobody's: an operator ended them. Default: none. */
  readonly ended?: ReadonlySet<string>
  /** Who signs for clients: certificates of others are nobody's. Default: the first. */
  readonly authority?: 'first' | 'second'
  /** What is asked of who may and who may not; default both. */
  readonly of?: 'denied' | 'allowed'
  /** Is each form asked, and are large blobs read whole? */
  readonly isWhole?: boolean
}

export class Matrix {
  cells = 0
  /** One line for each cell that was not as it must be. */
  readonly leaks: string[] = []
  readonly #world: AccessWorld
  readonly #every: number
  /** In what follows each form comes in another spelling. */
  #rounds = 0

  constructor(world: AccessWorld) {
    this.#world = world
    this.#every = IS_WHOLE ? 1 : EVERY[world.over]
  }

  /**
   * Threads are asked at one time, each over the connections that it has had all the while. A part
   * of the forms is asked as everybody, and in the next round another one.
   */
  async ask(round: Round): Promise<void> {
    const { askers, clients } = this.#world
    const [threads = []] = clients.values()
    // Where there are more threads, what each has its own of.
    const isTurn = (form: Form, turn: number) =>
      (round.isWhole === true || turn % this.#every === 0) &&
      (threads.length === 1 || form.isOnEach === true)
    await Promise.all(
      threads.map(async ({ thread }, at) => {
        for (const [number, asker] of askers.entries()) {
          const client = clients.get(wayOf(asker))?.find(each => each.thread === thread)
          if (client === undefined) throw new Error(`no connection as ${asker.name}`)
          const turn = this.#rounds + at
          const asked = { client, asker: asNow(asker, round), round, turn }
          for (const [index, form] of FORMS.entries()) {
            if (!isTurn(form, turn + number + index)) continue
            const spelling = SPELLINGS[(this.#rounds + number + index) % SPELLINGS.length]
            if (spelling !== undefined) await this.#askForm(asked, form, spelling)
          }
          if ((turn + number) % this.#every === 0) await this.#askForeign(asked)
          await this.#askCatalog(asked)
        }
      }),
    )
    this.#rounds += 1
  }

  /**
   * Brings what forms of `isOnEach` ask for into the memory of each thread, by every spelling. Who
   * may do everything asks, and is no cell.
   */
  async warm(rules: readonly ModelRule[]): Promise<void> {
    const { askers, clients, places } = this.#world
    const chief = askers.find(({ name }) => name === THE_CHIEF)
    if (chief === undefined) throw new Error('nobody may do everything')
    const round = { state: 'warm', rules }
    await Promise.all(
      (clients.get(wayOf(chief)) ?? []).map(async client => {
        const asked = { client, asker: chief, round, turn: 0 }
        for (const form of FORMS.filter(({ isOnEach }) => isOnEach))
          for (const spelling of SPELLINGS) {
            const cells = places
              .filter(({ content }) => content !== undefined)
              .map(place => ({ said: sayOf(place, form, { spelling, asker: chief }) }))
            for (let time = 0; time < WARM_AFTER; time += 1) await send(asked, cells, form)
          }
      }),
    )
  }

  async #askForm(asked: Asked, form: Form, spelling: Spelling): Promise<void> {
    const { round } = asked
    const { places } = this.#world
    const nowhere = places.find(({ repository }) => repository === NOWHERE)
    if (nowhere === undefined) throw new Error('nothing is nowhere')
    // The first that is asked, and what the others are held against.
    const all = [nowhere, ...places.filter(place => place !== nowhere)].toSorted(
      (one, other) => Number(one.content !== undefined) - Number(other.content !== undefined),
    )
    const cells = all.flatMap(place => {
      const said = sayOf(place, form, { spelling, asker: asked.asker })
      const may = mayBe(asked, said, { right: form.right, place })
      if (round.of !== undefined && round.of !== (may ? 'allowed' : 'denied')) return []
      if (may && (form.isRight === undefined || (isWholeLarge(form) && !round.isWhole))) return []
      return [{ place, said, may }]
    })
    const answers =
      form.body === undefined
        ? await send(asked, cells, form)
        : await this.#sendBodies(asked, cells, form)
    // A token that grants one and not the other says so itself.
    const absent = new Map<number, string>()
    for (const [at, { place, said, may }] of cells.entries()) {
      const answer = answers[at]
      if (answer === undefined) continue
      // Of a large blob that is a long text.
      const told = may ? String(answer.status) : compared(answer, said)
      const where = `${form.name} of ${place.repository} by ${spelling}`
      if (may) this.#judge(asked, isRight(answer, form, place), `${where} is wrong: ${told}`)
      else {
        const { repository } = place
        const refusal = refusalOf(asked.asker, { right: form.right, repository })
        const expected = absent.get(refusal) ?? told
        absent.set(refusal, expected)
        const isAsMust = answer.status === refusal && told === expected
        this.#judge(asked, isAsMust, `${where} is told: ${told} ≠ ${expected}`)
      }
    }
  }

  async #sendBodies(
    { asker }: Asked,
    cells: readonly { readonly said: Said; readonly place: Place }[],
    { method, headers, body }: Form,
  ): Promise<readonly ThreadAnswer[]> {
    const { edge } = this.#world
    return Promise.all(
      cells.map(({ said, place }) =>
        askAlone(edge.url, asker, {
          method,
          path: said.path,
          headers: { host: said.calledAs, ...asker.headers, ...headers },
          ...(body && { body: body(place) }),
        }),
      ),
    )
  }

  /** Content of one repository, asked of another one that does not have it. */
  async #askForeign(asked: Asked): Promise<void> {
    const { places } = this.#world
    const nothing = places.find(({ repository }) => repository === NOWHERE)
    const of = FORMS.filter(({ rest, isRight: reads, isOnEach }) => {
      const [one, other] = places.map(place => rest(place))
      return reads !== undefined && one !== other && isOnEach === true
    }).filter(({ name }) => !name.includes('that all have') && !name.includes('referrers'))
    for (const place of places.filter(({ content }) => content !== undefined)) {
      for (const form of of) {
        const foreign = places.filter(
          ({ content, repository }) => content !== undefined && repository !== place.repository,
        )
        const { asker, round, turn } = asked
        if (round.of === 'denied') continue
        const cells = [nothing, foreign[turn % foreign.length]].flatMap(from => {
          if (from === undefined) return []
          const said = sayOf({ ...place, asked: from.asked }, form, { spelling: 'path', asker })
          return mayBe(asked, said, { right: form.right, place }) ? [{ said, from }] : []
        })
        const answers = await send(asked, cells, form)
        const told = cells.flatMap(({ said }, at) => {
          const answer = answers[at]
          return answer === undefined ? [] : [compared(answer, said)]
        })
        for (const [at, { from }] of cells.entries()) {
          const what = `${form.name} of ${from.repository} in ${place.repository}: ${told[at]}`
          this.#judge(asked, told[at] === told[0] && told[0]?.startsWith('[404') === true, what)
        }
      }
    }
  }

  /** Each that may be listed and pulled, and no other. */
  async #askCatalog(asked: Asked): Promise<void> {
    const { round, asker } = asked
    if (round.of !== undefined) return
    const { calledAs, grants, isBarred, isKnown } = asker
    const said = { repository: '', path: '/v2/_catalog', host: undefined, calledAs }
    const [answer] = await send(asked, [{ said }], { method: 'GET' })
    if (answer === undefined) return
    const lists = round.rules.some(
      ({ who, allow }) => asker.whos.has(who) && allow.includes('list'),
    )
    const told = `the catalog is ${answer.status} ${String(answer.body)}`
    const hasCatalog = grants?.hasCatalog !== false
    if (!lists || !hasCatalog) {
      const isDenied = isBarred === true || (isKnown && hasCatalog)
      this.#judge(asked, answer.status === (isDenied ? 403 : 401), told)
      return
    }
    const shown = this.#world.places.filter(({ content, repository }) =>
      (['pull', 'list'] as const).every(
        right => content && mayByRules(round.rules, asker, { right, repository }),
      ),
    )
    const expected = shown.map(({ repository }) => repository).toSorted()
    const found = answer.status === 200 ? String(answer.body) : ''
    const isExact = found === JSON.stringify({ repositories: expected })
    this.#judge(asked, isExact, told)
  }

  #judge({ asker, round, client }: Asked, isAsMust: boolean, what: string): void {
    this.cells += 1
    if (!isAsMust) this.leaks.push(`${round.state}, ${asker.name}, ${client.thread}: ${what}`)
  }
}

interface Asked {
  readonly client: PipelinedClient
  readonly asker: WorldAsker
  readonly round: Round
  readonly turn: number
}

type Said = Spelled & { readonly calledAs: string }

function asNow(asker: WorldAsker, { ended, authority = 'first' }: Round): WorldAsker {
  const isEnded = ended?.has(asker.name) === true
  const isBarred = asker.authority !== undefined && asker.authority !== authority
  if (isBarred) return { ...asker, whos: new Set(), isKnown: false, isBarred }
  return isEnded ? { ...asker, whos: new Set(), isKnown: false } : asker
}

function sayOf(
  place: Place,
  form: Form,
  { spelling, asker }: { readonly spelling: Spelling; readonly asker: WorldAsker },
): Said {
  const said = spell(place.repository, form.rest(place), spelling)
  return { ...said, calledAs: said.host ?? asker.calledAs }
}

/** Programs of the machine are known by its own names alone. */
function mayBe(
  { asker, round }: Asked,
  said: Said,
  { right, place }: { readonly right: Form['right']; readonly place: Place },
): boolean {
  const whos = new Set(asker.whos)
  if (said.host !== undefined) whos.delete('local')
  const calling: Asker = { ...asker, whos }
  return mayDo(round.rules, calling, { right, repository: place.repository })
}

/** Takes longer than all others together. */
function isWholeLarge({ name }: Form): boolean {
  return name === 'GET a large blob'
}

/** What whoever may see a repository is told of what it does not have is the upstream's to say. */
function isRight(answer: ThreadAnswer, form: Form, place: Place): boolean {
  const { content } = place
  if (content !== undefined && place.isCut === true && isAboutOwn(form.rest(place), content))
    return answer.status === 404
  if (content !== undefined) return form.isRight?.(answer, content) === true
  return answer.status === 404 || (answer.status === 200 && form.name.startsWith('referrers'))
}

function isAboutOwn(rest: string, { own, large }: PlaceContent): boolean {
  const texts = ['manifests/own', own.manifest.digest, own.config.digest, large.digest]
  return texts.some(text => rest.includes(text))
}

/**
 * Over the connection that there was. At once, but for what memory may answer: it does so where
 * nothing else is under way on a connection.
 */
async function send(
  { client, asker }: Asked,
  cells: readonly { readonly said: Said }[],
  { method, headers, isOnEach }: Pick<Form, 'method' | 'headers' | 'isOnEach'>,
): Promise<readonly ThreadAnswer[]> {
  const isRead = method === 'GET' || method === 'HEAD'
  const length: Readonly<Record<string, string>> = isRead ? {} : { 'content-length': '0' }
  const requests = cells.map(({ said }) => ({
    method,
    path: said.path,
    headers: { host: said.calledAs, ...asker.headers, ...headers, ...length },
  }))
  if (isOnEach !== true) return client.ask(requests)
  const answers: ThreadAnswer[] = []
  for (const request of requests) answers.push(...(await client.ask([request])))
  return answers
}
