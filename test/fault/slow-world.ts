// a bridge on a slow store, what one can do to it, and what has been seen of it.
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { SessionData } from 'express-session'
import { WebSocketServer, type WebSocket } from 'ws'
import {
  createSessionBridge,
  SessionEndedError,
  StoreUnavailableError,
  type RefusalReason,
  type SessionBridge,
  type SessionContext,
  type SessionEnd,
  type SessionSnapshot,
} from 'ws-session-bridge'
import { PlainConnection, record } from '../live/bound.js'
import { createRandom, type Random } from '../support/random.js'
import { upgradeRequest } from '../support/raw-request.js'
import { Database } from './slow-database.js'
import { checkEnd, checkHandled, checkRefusal, dataOf } from './slow-invariants.js'
import { SlowLiveStore, SlowStore, type Way } from './slow-stores.js'

/** The deadline of a call, and how long a session may go unchecked: the defaults of both. */
export const deadlineMs = 5_000
export const unverifiedMs = 60_000

interface Weather {
  readonly isLive: boolean
  readonly worstMs: number
  readonly authorizeMs: number | undefined
  /** After which `authorize` is asked again by itself; Infinity: never. */
  readonly reauthorizeMs: number
  /** Sessions have users, by what is in them. */
  readonly identifies: boolean
  readonly rolling: boolean
  /** Who has no session is let in without one. */
  readonly acceptsAnonymous: boolean
  readonly maxSocketsPerSession: number
  readonly keepAlive: 'messages' | 'connected' | 'never'
  readonly revalidateMs: number
  readonly maxAgeMs: number
  /** The database is away now and then. */
  readonly outages: boolean
  /** The clock is set now and then. */
  readonly jumps: boolean
  /** There are other processes, of which a store with callbacks hears nothing. */
  readonly others: boolean
}

function weatherOf(random: Random): Weather {
  return {
    isLive: random.share() < 0.5,
    worstMs: random.one([0, 30, 500, 1_200, 2_400]),
    authorizeMs: random.one([undefined, 0, 500, 4_800]),
    reauthorizeMs: random.one([Infinity, Infinity, 10_000]),
    identifies: random.share() < 0.5,
    rolling: random.share() < 0.25,
    acceptsAnonymous: random.share() < 0.25,
    maxSocketsPerSession: random.one([Infinity, Infinity, 2]),
    keepAlive: random.one(['messages', 'connected', 'never']),
    revalidateMs: random.one([10_000, 30_000]),
    maxAgeMs: random.one([6_000, 20_000, 60_000, 600_000]),
    outages: random.share() < 0.2,
    jumps: random.share() < 0.2,
    others: random.share() < 0.7,
  }
}

/** One connection, and what was told of it. */
export interface Member {
  readonly id: string
  readonly context: SessionContext
  readonly openedAt: number
  readonly ends: SessionEnd[]
  readonly leave: () => void
  hasLeft: boolean
  last: string
}

/** What an answer that took a while may have been true of. */
interface Spell {
  readonly from: number
  to: number
}

/** A bridge, its database, those who are connected, and what has been seen of them. */
export class World {
  readonly random: Random
  readonly weather: Weather
  readonly database = new Database()
  readonly way: Way
  readonly store: SlowStore
  readonly live: SlowLiveStore | undefined
  readonly bridge: SessionBridge
  readonly wss = new WebSocketServer({ noServer: true })
  readonly members: Member[] = []
  readonly wrong: string[] = []
  /** When a role was forbidden, and when the database was away. */
  readonly banned = new Map<string, Spell[]>()
  readonly outages: Spell[] = []
  readonly disconnected = new Set<string>()
  /** Those that `authorize` says no to although their sessions have not changed, and those that ever were. */
  readonly suspended = new Set<string>()
  readonly everSuspended = new Set<string>()
  /** Signed out by this process, from the call on. */
  readonly signedOut = new Set<string>()
  readonly written = new Map<string, { surely: number; perhaps: number }>()
  readonly begunAt = performance.now()
  running = 0
  /** Sessions of which the bridge itself has said that they are gone. */
  readonly knownGone = new Set<string>()
  readonly createdAt = new Map<string, number>()
  isClosing = false
  refusals = 0
  /** How many were ended by their `bind`. */
  notAccepted = 0
  /** How many were let in without a session. */
  anonymous = 0
  faults: unknown[] = []
  logins = 0

  constructor(seed: number) {
    const random = createRandom(seed)
    const weather = weatherOf(random)
    this.random = random
    this.weather = weather
    this.way = { random, worstMs: weather.worstMs, isAway: false }
    this.store = new SlowStore(this.database, this.way)
    this.live = weather.isLive ? new SlowLiveStore(this.database, this.way) : undefined
    this.bridge = createSessionBridge({
      session: { store: this.store, secret: 'a secret', resave: false, rolling: weather.rolling },
      ...(this.live && { live: this.live }),
      ...(weather.authorizeMs !== undefined && {
        authorize: (session) => this.#authorize(session),
        ...(weather.reauthorizeMs < Infinity && { reauthorizeMs: weather.reauthorizeMs }),
      }),
      ...(weather.identifies && { identify: ({ user }) => user }),
      anonymous: weather.acceptsAnonymous ? 'accept' : 'refuse',
      maxSocketsPerSession: weather.maxSocketsPerSession,
      keepAlive: weather.keepAlive,
      revalidateMs: weather.revalidateMs,
      unverifiedMs,
    })
    this.bridge.on('fault', (fault) => this.faults.push(fault))
    this.bridge.on('refuse', () => (this.refusals += 1))
    this.bridge.on('accept', (context) => context === undefined || this.#accepted(context))
    this.bridge.setMaxListeners(0)
    this.wss.setMaxListeners(0)
    this.wss.on('connection', (ws: WebSocket, _request: unknown, context: SessionContext | undefined) => {
      if (context !== undefined) ws.on('message', () => checkHandled(this, context))
    })
    for (let count = 0; count < 4; count += 1) this.logIn()
  }

  get ids(): string[] {
    return [...this.database.rows.keys()]
  }

  get open(): Member[] {
    return this.members.filter(({ context }) => context.ended === undefined)
  }

  say(what: string): void {
    if (this.wrong.length < 3) this.wrong.push(`${Math.round(performance.now() - this.begunAt)} ms: ${what}`)
  }

  /* A write is a read, or several, and another call, within one deadline, and so are the writes before it in its queue. */
  get #isLateNowAndThen(): boolean {
    return this.weather.worstMs >= 500
  }

  /** Something that takes a while. */
  run(work: Promise<unknown>, id: string): void {
    this.running += 1
    work
      .catch((error: unknown) => {
        const isExpected =
          this.isClosing ||
          (error instanceof SessionEndedError && this.isGone(id)) ||
          (error instanceof StoreUnavailableError && (this.wasAwaySince(0) || this.#isLateNowAndThen))
        if (!isExpected) this.say(`rejected: ${String(error)}`)
      })
      .finally(() => (this.running -= 1))
  }

  /** @returns the ID of a session that has some of its time behind it, or so much left. */
  logIn(leftMs = this.weather.maxAgeMs * (0.3 + 0.7 * this.random.share())): string {
    const id = `session ${this.logins++}`
    const { maxAgeMs } = this.weather
    this.createdAt.set(id, performance.now())
    this.knownGone.delete(id)
    this.signedOut.delete(id)
    this.database.write(id, JSON.stringify(record({ views: 0, role: 'member', account: id }, maxAgeMs, leftMs)), 'own')
    return id
  }

  /** The handshake alone, and a connection a while later. */
  async bind(id: string): Promise<void> {
    const from = performance.now()
    const request = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: '/' })
    request.headers.cookie = this.bridge.signedCookie(id)
    const verdict = await this.bridge.authenticate(request)
    if (!verdict.accepted) {
      checkRefusal(this, id, verdict.refusal.reason, from)
      return
    }
    if (verdict.context === undefined) {
      checkRefusal(this, id, 'no-session', from)
      return
    }
    await this.#while(this.random.one([0, 0, 300, 8_000]))
    this.bridge.bind(verdict.context, new PlainConnection())
    const { ended } = verdict.context
    if (ended !== undefined && !this.members.some(({ context }) => context === verdict.context)) this.notAccepted += 1
  }

  /** An upgrade without a port. */
  async upgrade(id: string): Promise<void> {
    const from = performance.now()
    const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, callback) => callback() })
    const request = new IncomingMessage(new Socket())
    const lines = upgradeRequest({ cookie: this.bridge.signedCookie(id) })
      .trim()
      .split('\r\n')
      .slice(1)
    for (const line of lines) request.headers[line.split(': ')[0]!.toLowerCase()] = line.slice(line.indexOf(': ') + 2)
    Object.assign(request, { method: 'GET', url: '/', httpVersionMajor: 1, httpVersionMinor: 1 })
    const answered = new Promise<RefusalReason | undefined>((resolve) => {
      this.bridge.on('refuse', (refusal, refused) => refused === request && resolve(refusal.reason))
      this.wss.on('connection', (ws: WebSocket, accepted: unknown, context: SessionContext | undefined) => {
        if (accepted !== request) return
        if (context !== undefined) return resolve(undefined)
        this.anonymous += 1
        ws.terminate()
        resolve('no-session')
      })
    })
    this.bridge.handleUpgrade(this.wss, request, socket, Buffer.alloc(0))
    const reason = await answered
    if (reason === 'no-session' && this.database.read(id) === undefined) this.knownGone.add(id)
    if (reason !== undefined) checkRefusal(this, id, reason, from)
  }

  async update(id: string): Promise<void> {
    const context = this.open.find((member) => member.context.sessionID === id)?.context
    const writer = context !== undefined && this.random.share() < 0.5 ? context : this.bridge
    const count = this.written.get(id) ?? { surely: 0, perhaps: 0 }
    this.written.set(id, count)
    const mutate = (draft: { views?: number }): void => void (draft.views = (draft.views ?? 0) + 1)
    try {
      await (writer === this.bridge ? this.bridge.update(id, mutate) : context!.update(mutate))
      count.surely += 1
    } catch (error) {
      if (error instanceof StoreUnavailableError) count.perhaps += 1
      throw error
    }
  }

  /** An upgrade of a session whose time is nearly over. */
  async lastMinute(): Promise<void> {
    await this.upgrade(this.logIn(1 + this.random.below(5_000)))
  }

  /** Two processes write at nearly the same time. */
  async collide(id: string): Promise<void> {
    this.run(this.update(id), id)
    await this.#while(2 * this.weather.worstMs)
    this.elsewhere(id, (changed) => (changed.user = String(this.random.below(1_000))))
  }

  async load(id: string): Promise<void> {
    if ((await this.bridge.load(id)) === undefined && !this.isGone(id)) this.say('not found by load()')
  }

  /** Now, or when the answer set out. */
  isGone(id: string): boolean {
    return (
      this.database.read(id) === undefined ||
      this.database.returned.has(id) ||
      this.createdAt.get(id)! >= performance.now() - deadlineMs
    )
  }

  /** By another process, at once: this one does not hear of it, unless the LiveStore tells. */
  elsewhere(id: string, change: (record: SessionData) => void): void {
    const row = this.database.read(id)
    if (row === undefined) return
    const changed = JSON.parse(row.json) as SessionData
    change(changed)
    this.database.compareAndSet(id, row.json, JSON.stringify(changed))
  }

  setRole(id: string, role: 'member' | 'banned'): void {
    const spells = this.banned.get(id) ?? []
    this.banned.set(id, spells)
    this.elsewhere(id, (changed) => (changed.role = role))
    const last = spells.at(-1)
    if (role === 'banned' && last?.to !== Infinity) {
      spells.push({ from: performance.now(), to: Infinity })
    } else if (role === 'member' && last !== undefined) {
      last.to = performance.now()
    }
  }

  signOut(id: string, destroy: () => void): void {
    this.signedOut.add(id)
    destroy()
  }

  /** `authorize` changes its mind, which no session says. */
  suspend(id: string): void {
    this.suspended.add(id)
    this.everSuspended.add(id)
    this.bridge.reauthorize(this.random.share() < 0.5 ? id : undefined)
  }

  disconnectUser(user: string): void {
    for (const { id, context } of this.open) if (context.user === user) this.disconnected.add(id)
    this.bridge.disconnect({ user })
  }

  goAway(): void {
    this.way.isAway = true
    this.outages.push({ from: performance.now(), to: Infinity })
  }

  comeBack(): void {
    if (!this.way.isAway) return
    this.way.isAway = false
    this.outages.at(-1)!.to = performance.now()
    this.live?.isBack()
  }

  /** Whether the database was away at any time since then. */
  wasAwaySince(from: number): boolean {
    return this.outages.some(({ to }) => to >= from)
  }

  /** As a directory that takes its time: what it says is what was so when it was asked. */
  async #authorize({ role, account }: SessionSnapshot): Promise<boolean> {
    const isSuspended = this.suspended.has(account!)
    await this.#while(this.weather.authorizeMs!)
    return role !== 'banned' && !isSuspended
  }

  async #while(worstMs: number): Promise<void> {
    const ms = this.random.below(worstMs + 1)
    if (ms > 0)
      await new Promise<void>((resolve) => {
        setTimeout(resolve, ms)
      })
  }

  #accepted(context: SessionContext): void {
    const source = context as unknown as { connection: PlainConnection }
    const { ws } = context
    const member: Member = {
      id: context.sessionID,
      context,
      openedAt: performance.now(),
      ends: [],
      leave: () => {
        member.hasLeft = true
        if (ws === undefined) source.connection.disappear()
        else ws.terminate()
      },
      hasLeft: false,
      last: dataOf(context.session),
    }
    this.members.push(member)
    if (ws !== undefined && this.knownGone.has(context.sessionID) && !this.database.returned.has(context.sessionID))
      this.say('let in although it was known to be gone')
    context.on('end', (end) => {
      member.ends.push(end)
      checkEnd(this, member, end)
    })
    context.on('change', (session, previous) => {
      if (context.ended !== undefined) this.say('changed after its end')
      if (dataOf(previous) !== member.last) this.say(`a change from ${dataOf(previous)}, not from ${member.last}`)
      if (dataOf(session) === member.last) this.say('a change to the same')
      member.last = dataOf(session)
    })
  }
}
