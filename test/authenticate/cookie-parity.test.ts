import { createSecretKey } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSessionBridge } from 'ws-session-bridge'
import { scaled, seedOf } from '../support/soak.js'
import { cookieHeaders } from './cookie-headers.js'
import { AskedStore, createExpressReader } from './express-reader.js'
import { requestWith } from './request.js'

/* COOKIE_SEED=… repeats a run. */
const seed = seedOf('COOKIE_SEED')

const configurations = [
  { runs: scaled(60_000, 600_000), options: { secret: ['new', 'old'] } },
  {
    runs: scaled(25_000, 200_000),
    options: { secret: [Buffer.from('new'), createSecretKey('old', 'utf8')], name: 'sid' },
  },
  { runs: scaled(25_000, 200_000), options: { secret: 'only', key: '__Host-sid.v2' } },
]

function readersOf(options: (typeof configurations)[number]['options']) {
  const store = new AskedStore()
  const bridge = createSessionBridge({ session: { ...options, store } })
  const headers = cookieHeaders({
    name: options.name ?? options.key ?? 'connect.sid',
    secrets: [options.secret].flat(),
  })
  return { store, bridge, headers, byExpress: createExpressReader(options) }
}

describe.each(configurations)('cookie, as express-session reads it: $options', ({ runs, options }) => {
  it(`gives the same session ID or none for ${runs} generated headers`, { timeout: scaled(120_000, 1_800_000) }, () => {
    const { bridge, headers, byExpress } = readersOf(options)
    let proven = 0
    const parity = fc.property(headers, (header) => {
      const sessionID = byExpress(header)
      if (sessionID !== undefined) proven += 1
      expect(bridge.readSessionID(header)).toBe(sessionID)
    })
    fc.assert(parity, { seed, numRuns: runs })
    console.log(`${proven} of ${runs} headers prove a session ID`)
    expect(proven / runs).toBeGreaterThan(0.2)
    expect(proven / runs).toBeLessThan(0.8)
  })

  it('asks its store for the same session, or refuses before', async () => {
    const { store, bridge, headers, byExpress } = readersOf(options)
    const parity = fc.asyncProperty(headers, async (header) => {
      store.asked = undefined
      const verdict = await bridge.authenticate(requestWith({ cookie: header }))
      const sessionID = byExpress(header)
      expect(store.asked).toBe(sessionID)
      if (sessionID !== undefined) expect(verdict).toMatchObject({ refusal: { reason: 'no-session' } })
    })
    await fc.assert(parity, { seed, numRuns: 3_000 })
  })
})
