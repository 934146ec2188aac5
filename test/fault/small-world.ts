// one session, two open sockets and one handshake, on a store whose calls and answers are separate steps: everything that can
// happen is a step that a search chooses, and after each of them the promises of the bridge are checked.
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { SessionData } from 'express-session'
import { WebSocketServer, type WebSocket } from 'ws'
import { SessionEndedError, type SessionContext, type SessionSnapshot } from 'ws-session-bridge'
import { createBridge } from '../../src/session-bridge.js'
import { upgradeRequest } from '../support/raw-request.js'
import { SmallClock, SmallStore, type SmallStoreRules, type StoreStep } from './small-store.js'

/** What the app, the clients and the clock may do. `wait`: some of the session's time passes; `expire`: all of it. */
export type Act = 'handshake' | 'destroy' | 'touch' | 'change' | 'demote' | 'update' | 'message' | 'wait' | 'expire'

export interface SmallWorldRules extends SmallStoreRules {
  /** What may happen, as often as it is listed. */
  readonly acts: readonly Act[]
  /** How many are open at the beginning. */
  readonly sockets: 0 | 1 | 2
  /** What happens first, before all others. */
  readonly first?: Act
  /** `authorize` is asked, answers at a step of its own, and refuses a demoted session: by a no, or by throwing. */
  readonly authorize: 'none' | 'no' | 'throws'
}

const maxAgeMs = 10_500
/** Between an act and the next: enough for a touch to put the expiry off, where a store may round it to whole seconds. */
const betweenActsMs = 1_100
const unverifiedMs = 20_000
/** An expiry is seen so late at most: a store that counts in whole seconds is asked once more. */
const noticedMs = 2_200

interface Question {
  readonly session: SessionSnapshot
  readonly answer: () => void
}

/** A way to go on from here. */
export interface Step {
  readonly label: string
  /** An act, what the bridge is answered, or what the store does without telling it. */
  readonly kind: 'act' | 'answer' | 'effect'
  /** The same for the same call or question at each place in an order. */
  readonly of: object
  readonly take: () => void
}

export class SmallWorld {
  readonly clock = new SmallClock()
  readonly store: SmallStore
  readonly wrong: string[] = []
  readonly #rules: SmallWorldRules
  readonly #bridge: ReturnType<typeof createBridge>
  readonly #wss = new WebSocketServer({ noServer: true })
  readonly #left: Act[]
  readonly #questions: Question[] = []
  readonly #open: { ws: WebSocket; context: SessionContext }[] = []
  #isSettingUp = true
  #handshakes = 0
  #answeredHandshakes = 0
  #updates = 0
  #settledUpdates = 0
  /** The app has called `destroy`, and the store has carried it out, and has answered. */
  #destroyCalled = false
  #destroyDone = false
  #destroyAnswered = false
  #demoteDone = false
  /** The bridge has heard of it, or of something later. */
  #demoteHeard = false
  /** The newest that the bridge has read is a session that `authorize` refuses; and when the store had that. */
  #demotionKnown = false
  #knownAt = 0
  /** The app's own late write has brought the session back: that is the app's affair, and nothing more is checked. */
  #revivedByApp = false
  /** The app wrote while a write of the bridge was on its way: which of the two comes last is the store's affair. */
  #writesCrossed = false
  /** A touch was on its way when something came: which of two touches comes last is the store's affair, too. */
  #touchesCrossed = false

  constructor(rules: SmallWorldRules) {
    this.#rules = rules
    this.#left = [...rules.acts]
    this.store = new SmallStore(this.clock, rules)
    const { authorize } = rules
    this.#bridge = createBridge(
      {
        session: { store: this.store, secret: 'a secret', resave: false, saveUninitialized: false },
        ...(authorize !== 'none' && { authorize: (session: SessionSnapshot) => this.#authorize(session) }),
        keepAlive: rules.acts.includes('message') ? 'messages' : 'never',
        revalidateMs: 2 ** 31 - 1,
        unverifiedMs,
      },
      this.clock,
    )
    this.#bridge.on('fault', () => undefined)
    this.#bridge.on('refuse', () => (this.#answeredHandshakes += 1))
    this.#wss.on('connection', (ws: WebSocket, _request: unknown, context: SessionContext) =>
      this.#connected(ws, context),
    )
    this.store.onEffect = (step) => this.#effect(step)
    this.store.onAnswer = (step) => this.#answered(step)
    this.store.write(this.#record('member'))
  }

  /** Opens the sockets. */
  async setUp(): Promise<void> {
    for (let count = 0; count < this.#rules.sockets; count += 1) {
      this.#upgrade()
      await this.#drainCalls()
    }
    if (this.#open.length !== this.#rules.sockets) throw new Error('The world does not have the sockets to begin with.')
    this.#isSettingUp = false
    const { first } = this.#rules
    if (first !== undefined) this.#act(first)
  }

  get steps(): Step[] {
    return [
      ...[...new Set(this.#left)].map((act): Step => ({
        label: act,
        kind: 'act',
        of: this,
        take: () => this.#act(act),
      })),
      ...this.store.steps.map((step): Step => {
        const kind = step.effects.length > 0 ? 'effect' : 'answer'
        const label = `the ${step.method} of the ${step.byApp ? 'app' : 'bridge'} ${kind === 'effect' ? 'takes effect' : 'is answered'}`
        return { label, kind, of: step, take: () => this.store.take(step) }
      }),
      ...this.#questions.map((question): Step => {
        return { label: 'authorize answers', kind: 'answer', of: question, take: () => this.#answer(question) }
      }),
    ]
  }

  /** A message comes on every open socket: it is handled, held or dropped. */
  probe(): void {
    for (const { ws } of this.#open) ws.emit('message', Buffer.from('hello'), false)
  }

  /** Everything that is under way comes to its end, and so does every time. */
  async finish(): Promise<void> {
    await this.#drainCalls()
    const last = this.clock.now() + maxAgeMs + unverifiedMs + 10_000
    while (this.clock.nextAt <= last) {
      this.#checkExpiry()
      this.clock.moveTo(this.clock.nextAt)
      await this.#drainCalls()
      if (this.#isBeforeExpiry()) this.#checkRest('before its expiry')
    }
    this.clock.moveTo(last)
    await this.#drainCalls()
    this.#checkRest('at the end')
    if (this.#answeredHandshakes < this.#handshakes) this.#say('a handshake without an answer')
    if (this.#settledUpdates < this.#updates) this.#say('an update without an answer')
    for (const { ws } of this.#open) ws.terminate()
    void this.#bridge.close()
    await this.#drainCalls()
  }

  #isBeforeExpiry(): boolean {
    return this.store.read() !== undefined
  }

  async #drainCalls(): Promise<void> {
    for (let quiet = 0; quiet < 2;) {
      await turn()
      const [step] = this.store.steps
      const [question] = this.#questions
      if (step !== undefined) this.store.take(step)
      else if (question !== undefined) this.#answer(question)
      else quiet += 1
      if (step !== undefined || question !== undefined) quiet = 0
    }
  }

  #answered(step: StoreStep): void {
    // What an update reads is not looked at before its write is answered.
    const isOfUpdate = this.#settledUpdates < this.#updates
    if (step.method === 'get' && step.foundAt > this.#knownAt && !isOfUpdate) {
      this.#knownAt = step.foundAt
      this.#demotionKnown = this.#rules.authorize !== 'none' && isDemoted(step.found)
    }
    if (step.method === 'destroy') this.#destroyAnswered = true
    if (step.method === 'set' && step.byApp) this.#demoteHeard = this.#demoteDone
  }

  #answer(question: Question): void {
    this.#questions.splice(this.#questions.indexOf(question), 1)
    question.answer()
  }

  #authorize(session: SessionSnapshot): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const demoted = session.role === 'demoted'
      this.#questions.push({
        session,
        answer: () => {
          if (demoted && this.#rules.authorize === 'throws') reject(new Error('The database of roles is away.'))
          else resolve(!demoted)
        },
      })
    })
  }

  #act(act: Act): void {
    const index = this.#left.indexOf(act)
    if (index !== -1) this.#left.splice(index, 1)
    this.clock.moveTo(this.clock.now() + betweenActsMs)
    this.store.isAppCalling = true
    if (this.store.steps.some(({ method, byApp, effects }) => method === 'set' && !byApp && effects.length > 0)) {
      this.#writesCrossed = true
    }
    if (this.store.steps.some(({ method, effects }) => method === 'touch' && effects.length > 0)) {
      this.#touchesCrossed = true
    }
    if (act === 'destroy') {
      this.#destroyCalled = true
      this.store.destroy('id', ignore)
    } else if (act === 'touch') this.store.touch('id', this.#session('member'), ignore)
    else if (act === 'change') this.store.set('id', this.#session('member', 'changed'), ignore)
    else if (act === 'demote') this.store.set('id', this.#session('demoted'), ignore)
    this.store.isAppCalling = false

    if (act === 'handshake') this.#upgrade()
    else if (act === 'update') this.#update()
    else if (act === 'message') this.#open[0]?.ws.emit('message', Buffer.from('hello'), false)
    else if (act === 'wait') this.clock.moveTo(this.clock.now() + maxAgeMs / 2)
    else if (act === 'expire') this.clock.moveTo(this.clock.now() + maxAgeMs)
  }

  #update(): void {
    this.#updates += 1
    this.#bridge
      .update('id', (draft) => void (draft.views = (draft.views ?? 0) + 1))
      .catch((error: unknown) => {
        if (!(error instanceof SessionEndedError)) this.#say(`an update failed: ${String(error)}`)
      })
      .finally(() => (this.#settledUpdates += 1))
  }

  #upgrade(): void {
    this.#handshakes += 1
    const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, callback) => callback() })
    const request = new IncomingMessage(new Socket())
    const lines = upgradeRequest({ cookie: this.#bridge.signedCookie('id') })
    for (const line of lines.trim().split('\r\n').slice(1)) {
      request.headers[line.split(': ')[0]!.toLowerCase()] = line.slice(line.indexOf(': ') + 2)
    }
    Object.assign(request, { method: 'GET', url: '/', httpVersionMajor: 1, httpVersionMinor: 1 })
    this.#bridge.handleUpgrade(this.#wss, request, socket, Buffer.alloc(0))
  }

  #connected(ws: WebSocket, context: SessionContext): void {
    this.#answeredHandshakes += 1
    if (this.#destroyAnswered && !this.#revivedByApp) this.#say('let in after an answered logout')
    if (this.#demotionKnown) this.#say('let in although the bridge knew that it may not')
    if (this.#demoteHeard && isDemoted(this.store.read())) this.#say('let in by an answer to an older question')
    const member = { ws, context }
    this.#open.push(member)
    ws.on('message', () => this.#handled())
    context.once('end', () => this.#open.splice(this.#open.indexOf(member), 1))
  }

  #handled(): void {
    if (this.#isSettingUp || this.#revivedByApp) return
    if (this.#destroyCalled) this.#say('a message handled after a logout of this process')
    if (this.#demotionKnown) this.#say('a message handled before authorize has answered')
  }

  #effect({ method, byApp }: StoreStep): void {
    const { row } = this.store
    if (method === 'destroy') this.#destroyDone = true
    else if (this.#destroyDone && row !== undefined && byApp) this.#revivedByApp = true
    if (byApp && method === 'set') this.#demoteDone = isDemoted(row?.json)
  }

  /* Nothing is under way, and nothing will be before the next timer. */
  #checkExpiry(): void {
    if (this.#touchesCrossed || this.#open.length === 0) return
    const expiredAt = this.store.row?.expiresAt ?? Infinity
    if (this.clock.nextAt > expiredAt + noticedMs) this.#say('open long after its expiry')
  }

  /* What must hold whenever nothing is under way. */
  #checkRest(when: string): void {
    if (this.#revivedByApp) return
    const json = this.store.read()
    if (this.#destroyDone && json !== undefined) this.#say(`the session is back ${when}`)
    if (
      this.#demoteDone &&
      !this.#writesCrossed &&
      json !== undefined &&
      !this.#rules.touchWritesBack &&
      !isDemoted(json)
    ) {
      this.#say(`a write of the app was overwritten ${when}`)
    }
    if (json === undefined && when === 'at the end' && this.#open.length > 0) this.#say('open without a session')
    if (isDemoted(json) && this.#rules.authorize === 'no' && this.#open.length > 0)
      this.#say(`open and forbidden ${when}`)
    if (when === 'at the end' && isDemoted(json) && this.#rules.authorize === 'throws' && this.#open.length > 0) {
      this.#say('open although it could not be checked for longer than `unverifiedMs`')
    }
  }

  #record(role: string, note?: string): string {
    return JSON.stringify(this.#session(role, note))
  }

  #session(role: string, note?: string): SessionData {
    // Where nothing expires by design, the session lasts longer than the whole run.
    const isShort = this.#rules.acts.includes('expire') || this.#rules.acts.includes('wait')
    const lastsMs = isShort ? maxAgeMs : 24 * 3_600_000
    const expires = new Date(this.clock.now() + lastsMs)
    return {
      cookie: { originalMaxAge: lastsMs, expires: expires.toISOString() },
      role,
      ...(note !== undefined && { note }),
    } as unknown as SessionData
  }

  #say(what: string): void {
    this.wrong.push(what)
  }
}

function isDemoted(json: string | undefined): boolean {
  return json !== undefined && (JSON.parse(json) as { role?: string }).role === 'demoted'
}

/** Enough for every promise that is settled now to be heard of. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/* express-session gives every call a callback: the answer is what the bridge hears. */
function ignore(): void {
  // The app does nothing with it.
}
