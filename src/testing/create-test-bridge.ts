/*
 * A bridge for other people's tests: the real one, on a store in memory, by a clock that can be turned, without a port.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'

import type { CookieOptions } from 'express-session'
import type { WebSocketServer } from 'ws'

import type { SessionBridge } from '../bridge-contract.js'
import { createBridge } from '../session-bridge.js'
import type { SessionContext } from '../live/session-context.js'
import type { Mutate } from '../live/optimistic-writer.js'
import type { SessionBridgeOptions } from '../options.js'
import type { SessionSnapshot } from '../store/snapshot.js'
import { Activity, awake } from './activity.js'
import { Attempts } from './attempts.js'
import { countedAuthorize } from './counted-authorize.js'
import { connect } from './client.js'
import { sortedOptions, type TestBridgeOptions } from './options.js'
import { takeSystemDates } from './system-dates.js'
import { newSession, newSessionID, type TestSessionData } from './test-session.js'
import { ClockStore, type TestStore } from './test-store.js'
import { TurnableClock, type TestClock } from './turnable-clock.js'
import { clientRequest, type TestUpgrade, type TestUpgradeOptions } from './upgrade.js'

/** A bridge with all that a test needs around it. Its functions need no `this`: take them apart as you like. */
export interface TestBridge<C = SessionContext> extends AsyncDisposable {
  /** The real bridge, on `store` and `clock`. */
  readonly bridge: SessionBridge<C>
  /** A MemoryStore whose sessions expire by `clock`. */
  readonly store: TestStore
  /** The time of the bridge and its store. */
  readonly clock: TestClock
  /** For your own app: `app.use(session(sessionOptions))`. The secret is a new one for each test bridge. */
  readonly sessionOptions: SessionBridgeOptions['session']
  /** An http server that does not listen: `upgrade` comes in here. For mounts, upgrade listeners and an app of your own. */
  readonly server: Server
  /** The ws server that the accepted sockets go to. */
  readonly wss: WebSocketServer
  /**
   * Puts a session into the store, as a login would. Returns the Cookie header that its browser sends from then on;
   * `bridge.readSessionID(cookie)` is its ID.
   *
   * @param cookieOptions settings of this session's cookie, such as `{ maxAge: 60_000 }`, over those of `session.cookie`
   * @throws {TypeError} for data that is no object.
   */
  cookie(data?: TestSessionData, cookieOptions?: CookieOptions): string
  /**
   * Changes a session as another request would. Resolves when its sockets have heard of it and `authorize` has answered,
   * and those that may not stay are closed.
   *
   * @param session its ID, or its Cookie header
   * @throws {SessionEndedError} (rejects) if there is no such session.
   */
  change(session: string, mutate: Mutate): Promise<SessionSnapshot>
  /** Signs a session out as another request would. Resolves when its sockets are closed, never rejects. Harmless if there is none. */
  end(session: string): Promise<void>
  /**
   * Opens a real WebSocket, through a real HTTP server, in memory. Resolves when it is open or refused; rejects if the
   * connection ends without an answer.
   *
   * @param cookie what `cookie` returned, or any Cookie header; undefined: none
   */
  upgrade(cookie?: string, options?: TestUpgradeOptions): Promise<TestUpgrade<C>>
  /** Closes the bridge and all that was opened here; harmless a second time, and never rejects. `await using` does it by itself. */
  close(): Promise<void>
}

/**
 * Makes a bridge for a test. It needs no port, no Redis and no particular test runner.
 *
 * @example
 * ```ts
 * const { cookie, upgrade, clock, close } = await createTestBridge({ onConnection: chat })
 * const { ws, next, closed } = await upgrade(cookie({ user: 'Ada' }))
 * ws.send('hello')
 * assert.equal(await next(), 'Ada: hello')
 * await close()
 * ```
 * @throws {TypeError} (rejects) that names the option and says what to do.
 */
export function createTestBridge(
  options: TestBridgeOptions<SessionContext | undefined> & { anonymous: 'accept' },
): Promise<TestBridge<SessionContext | undefined>>
export function createTestBridge(options?: TestBridgeOptions): Promise<TestBridge>
export function createTestBridge(options: TestBridgeOptions<never> = {}): Promise<TestBridge<never>> {
  return Promise.resolve().then(() => makeTestBridge(options))
}

function makeTestBridge(given: TestBridgeOptions<never>): TestBridge<never> {
  const options = sortedOptions(given)
  const { wss } = options
  const activity = new Activity()
  const clock = new TurnableClock(() => awake(activity.settled()))
  const store = new ClockStore(clock, activity)
  const secret = randomBytes(32).toString('base64url')
  const sessionOptions = { resave: false, saveUninitialized: false, ...options.session, store, secret }
  const bridge = createBridge(
    { ...options.bridge, authorize: countedAuthorize(options.bridge, activity), session: sessionOptions },
    clock,
  )
  // After the bridge, which hears what is written through this, as the store keeps it.
  takeSystemDates(store, clock)
  const server = createServer()
  bridge.attach(server, wss, options.mount)
  const attempts = new Attempts(bridge, activity)
  let isClosed = false

  /* A Cookie header holds a signature, so none can be taken for an ID, nor an ID for one. */
  const idOf = (session: string): string => bridge.readSessionID(session) ?? session

  async function upgrade(cookie?: string, upgradeOptions: TestUpgradeOptions = {}): Promise<TestUpgrade<never>> {
    const request = clientRequest(cookie, upgradeOptions)
    if (isClosed) throw new TypeError('upgrade: the test bridge is closed.')
    const attempt = attempts.begin(connect(server, request))
    return (await awake(attempt.answered())) as TestUpgrade<SessionContext | undefined> as TestUpgrade<never>
  }

  async function close(): Promise<void> {
    await awake(bridge.close())
    isClosed = true
    attempts.cut()
    if (server.listening) await new Promise((resolve) => server.close(resolve).closeAllConnections())
  }

  return {
    bridge,
    store,
    clock,
    sessionOptions,
    server,
    wss,
    cookie(data = {}, cookieOptions = {}) {
      const sessionID = newSessionID()
      store.set(sessionID, newSession(data, sessionOptions.cookie, cookieOptions))
      return bridge.signedCookie(sessionID)
    },
    async change(session, mutate) {
      const snapshot = await bridge.update(idOf(session), mutate)
      await awake(activity.settled())
      return snapshot
    },
    async end(session) {
      await bridge.destroy(idOf(session))
      await awake(activity.settled())
    },
    upgrade,
    close,
    [Symbol.asyncDispose]: close,
  }
}
