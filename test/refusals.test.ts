import { describe, expect, it } from 'vitest'
import { CloseCode, type RefusalReason, type SessionEnd } from 'ws-session-bridge'
import { refusalOf, refusalStatus } from '../src/refusals.js'

/* The contract, written down a second time: a status does not change by accident. */
const statuses: Record<RefusalReason, number> = {
  'bad-request': 400,
  'not-found': 404,
  'origin-denied': 403,
  'no-cookie': 401,
  'unsigned-cookie': 401,
  'bad-signature': 401,
  'no-session': 401,
  'session-expired': 401,
  forbidden: 403,
  'too-many-sockets': 429,
  'too-many-pending': 503,
  'store-failed': 503,
  timeout: 503,
  'shutting-down': 503,
  'authorize-failed': 500,
  'client-gone': 0,
  'answered-elsewhere': 0,
}

const endCodes: Record<Exclude<SessionEnd['reason'], 'closed'>, number> = {
  destroyed: 4401,
  expired: 4401,
  forbidden: 4403,
  disconnected: 1008,
  unverified: 1013,
  shutdown: 1001,
}

describe('refusals', () => {
  it('have the statuses of the contract', () => {
    expect(refusalStatus).toEqual(statuses)
  })

  it('are plain values, with an error only where something failed', () => {
    const error = new Error('the cause')
    expect(refusalOf('forbidden')).toEqual({ reason: 'forbidden', status: 403 })
    expect(refusalOf('store-failed', error)).toEqual({ reason: 'store-failed', status: 503, error })
    expect(Object.isFrozen(refusalOf('forbidden'))).toBe(true)
  })
})

describe('close codes', () => {
  it('are those of the contract', () => {
    expect(CloseCode).toMatchObject(endCodes)
  })

  it.each(Object.entries(CloseCode))('%s is a code that ws sends', (_name, code) => {
    expect(code === 1001 || code === 1008 || code === 1011 || code === 1013 || (code >= 4000 && code < 5000)).toBe(true)
  })
})
