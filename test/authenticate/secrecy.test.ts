import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { inspect } from 'node:util'
import type { SessionData } from 'express-session'
import { describe, expect, it, vi } from 'vitest'
import type { RefusalReason, SessionBridgeOptions } from 'ws-session-bridge'
import { refusalStatus } from '../../src/refusals.js'
import { startApp, type App, type AppOptions } from '../support/app.js'
import { atEnd } from '../support/at-end.js'
import { rawRequest, upgradeRequest, type UpgradeRequestOptions } from '../support/raw-request.js'

const sessionID = 'Zl8SRHuG2nMvUr3IhbEzFTCWD1kqPJ0x'
const unsigned = `connect.sid=${sessionID}`
const forged = `connect.sid=s:${sessionID}.forged`

/** As Redis clients and drivers do: the command is in the error. */
const telltale = () => Object.assign(new Error(`GET ${sessionID} failed`), { command: ['GET', sessionID] })
const fail = () => {
  throw new TypeError('broken')
}

type Get = (sessionID: string, callback: (error: unknown, record?: SessionData) => void) => unknown
const answers =
  (error: unknown, record?: object): Get =>
  (_, callback) => {
    callback(error, record as SessionData | undefined)
  }
const silent: Get = () => undefined

interface Story {
  reason?: RefusalReason
  bridge?: Partial<Omit<SessionBridgeOptions, 'session'>>
  get?: Get
  request?: UpgradeRequestOptions
  /** An upgrade before this one, up to this event. */
  earlier?: 'upgrade' | 'accept'
  closing?: boolean
  onConnection?: NonNullable<AppOptions['onConnection']>
}

const stories: Record<string, Story> = {
  'an upgrade of another version': { reason: 'bad-request', request: { headers: { 'Sec-WebSocket-Version': '8' } } },
  'a path without a mount': { reason: 'not-found', request: { path: '/other' } },
  'a page of another origin': { reason: 'origin-denied', request: { headers: { Origin: 'http://evil.test' } } },
  'origins throws': { reason: 'authorize-failed', bridge: { origins: fail }, request: { headers: { Origin: 'null' } } },
  'a cookie of another name': { reason: 'no-cookie', request: { cookie: unsigned.replace('connect', 'other') } },
  'an unsigned cookie': { reason: 'unsigned-cookie', request: { cookie: unsigned } },
  'a forged cookie': { reason: 'bad-signature', request: { cookie: forged } },
  'an unknown session': { reason: 'no-session', get: answers(null) },
  'an unusable record': { reason: 'no-session', get: answers(null, {}) },
  'the store answers with an error': { reason: 'store-failed', get: answers(telltale()) },
  'the store answers with what is no Error': { reason: 'store-failed', get: answers(`no ${sessionID}`) },
  'the store throws': {
    reason: 'store-failed',
    get: () => {
      throw telltale()
    },
  },
  'the store rejects': { reason: 'store-failed', get: () => Promise.reject(telltale()) },
  'the store is silent': { reason: 'timeout', get: silent, bridge: { handshakeTimeoutMs: 20 } },
  'authorize says no': { reason: 'forbidden', bridge: { authorize: () => false } },
  'authorize throws': { reason: 'authorize-failed', bridge: { authorize: fail } },
  'authorize answers with the ID': { reason: 'authorize-failed', bridge: { authorize: () => sessionID as never } },
  'a second socket': { reason: 'too-many-sockets', bridge: { maxSocketsPerSession: 1 }, earlier: 'accept' },
  'a second handshake': { reason: 'too-many-pending', bridge: { maxPending: 1 }, get: silent, earlier: 'upgrade' },
  'the bridge closes': { reason: 'shutting-down', get: silent, closing: true },
  'a connection listener throws': { onConnection: fail },
  'all is well': {},
}

/** Everything that this process says until the test ends. */
function listenIn(): string[] {
  const said: string[] = []
  const hear = (...words: unknown[]) => said.push(...words.map((word) => inspect(word, { depth: 9 })))
  const methods = ['log', 'info', 'warn', 'error', 'debug'] as const
  for (const method of methods) vi.spyOn(console, method).mockImplementation(hear)
  const hearWarning = (warning: Error) => hear(warning.message, warning.stack, warning)
  process.on('warning', hearWarning)
  atEnd(() => process.off('warning', hearWarning))
  for (const name of ['accept', 'refuse', 'change', 'end', 'fault']) {
    subscribe(`ws-session-bridge:${name}`, hear)
    atEnd(() => unsubscribe(`ws-session-bridge:${name}`, hear))
  }
  return said
}

/** What came back: the HTTP answer, and the close frame of a socket that was let in. */
async function answerTo(app: App, cookie: string, { reason, request, closing = false }: Story): Promise<string> {
  const upgrade = rawRequest(app.port, upgradeRequest({ cookie, ...request }))
  if (closing) await once(app.server, 'upgrade')
  else await upgrade.receivedUntil('\r\n\r\n')
  const closed = app.bridge.close()
  if (reason === undefined) await upgrade.receivedUntil('\u0088')
  upgrade.socket.end()
  await closed
  return upgrade.received()
}

/** As a log line has it: the refusal without what the store's own error says, which is a cause. */
function linesOf({ refusals, faults, bridge }: App): string[] {
  const lines = refusals.map(({ error, ...refusal }) => {
    return inspect(refusal) + (error ? [String(error), error.stack, JSON.stringify(error)].join('\n') : '')
  })
  return [...lines, ...faults.map((fault) => inspect(fault)), inspect(bridge, { depth: 5, showHidden: true })]
}

describe.each([true, false])("a session ID, with a listener for 'fault': %s", (hasListener) => {
  it.each(Object.entries(stories))('is said nowhere when: %s', async (_when, story) => {
    const said = listenIn()
    const { bridge = {}, get = answers(null, { cookie: {}, user: 'ada' }), onConnection } = story
    const app = await startApp({ bridge, ...(onConnection && { onConnection }) })
    vi.spyOn(app.store, 'get').mockImplementation(get)
    if (!hasListener) app.bridge.removeAllListeners('fault')
    const cookie = app.bridge.signedCookie(sessionID)
    const signature = cookie.slice(cookie.lastIndexOf('.') + 1)

    if (story.earlier !== undefined) {
      const { socket } = rawRequest(app.port, upgradeRequest({ cookie }))
      app.bridge.once('refuse', () => socket.destroy())
      await once(story.earlier === 'accept' ? app.bridge : app.server, story.earlier)
    }
    const answer = await answerTo(app, cookie, story)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${story.reason ? refusalStatus[story.reason] : 101} `))
    if (story.reason !== undefined) expect(app.refusals.map(({ reason }) => reason)).toContain(story.reason)
    // Warnings are told on a later tick.
    await new Promise(setImmediate)

    const everything = [...said, answer, ...linesOf(app)].join('\n')
    for (const secret of [sessionID, signature, decodeURIComponent(signature)]) expect(everything).not.toContain(secret)
  })
})

describe('a fault without a listener', () => {
  it('is a process warning that tells its kind, not its message, once a minute', async () => {
    const warnings: Error[] = []
    const hear = (warning: Error) => warnings.push(warning)
    process.on('warning', hear)
    atEnd(() => process.off('warning', hear))
    const app = await startApp({
      bridge: {
        authorize: () => {
          throw telltale()
        },
      },
    })
    app.bridge.removeAllListeners('fault')
    const cookie = await app.login('ada')
    await rawRequest(app.port, upgradeRequest({ cookie })).received()
    await rawRequest(app.port, upgradeRequest({ cookie })).received()
    await new Promise(setImmediate)
    const ours = warnings.filter(({ name }) => name === 'SessionBridgeWarning')
    expect(ours).toHaveLength(1)
    expect(ours[0]?.message).toMatch(/\(authorize, Error\)/)
    expect(inspect(ours)).not.toContain(sessionID)
    expect(app.bridge.stats().faults).toBe(2)
  })
})
