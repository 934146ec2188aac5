import { readFileSync } from 'node:fs'
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
}

const endCodes: Record<Exclude<SessionEnd['reason'], 'closed'>, number> = {
  destroyed: 4401,
  expired: 4401,
  forbidden: 4403,
  disconnected: 1008,
  unverified: 1013,
  shutdown: 1001,
}

/** The first two columns of the README's table that has these at its head, without their backticks. */
function readmeTable(first: string, second: string): [string, number][] {
  const lines = readFileSync(new URL('../README.md', import.meta.url), 'utf8').split('\n')
  const cells = lines.map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
  const head = cells.findIndex((row) => row[1] === first && row[2] === second)
  expect(head).not.toBe(-1)
  const length = lines.slice(head).findIndex((line) => !line.startsWith('|'))
  return cells.slice(head + 2, head + length).map(([, key = '', value]) => [key, Number(value)])
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

  it('stand in the README, each with its status, and no others', () => {
    expect(Object.fromEntries(readmeTable('reason', 'status'))).toEqual(statuses)
  })
})

describe('close codes', () => {
  it('are those of the contract', () => {
    expect(CloseCode).toMatchObject(endCodes)
  })

  it.each(Object.entries(CloseCode))('%s is a code that ws sends', (_name, code) => {
    expect(code === 1001 || code === 1008 || code === 1011 || code === 1013 || (code >= 4000 && code < 5000)).toBe(true)
  })

  it('stand in the README, and no unknown ones', () => {
    const codes = readmeTable('code', 'end.reason').map(([code]) => Number(code))
    expect(new Set(codes)).toEqual(new Set(Object.values(CloseCode)))
  })
})
