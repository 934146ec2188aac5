/*
 * The attack panel: upgrades that must be refused, sent by the server to itself. A page cannot send them: a script can neither
 * set an httpOnly cookie nor read the HTTP status of a refused WebSocket.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { Router } from 'express'
import { Cookie, type Store } from 'express-session'
import type { SessionBridge } from 'ws-session-bridge'

import type { ProbeResult, ProbeOptions, UpgradeProbe } from './upgrade-probe.js'

interface Attack extends ProbeOptions {
  readonly what: string
}

/** A flood is of this many handshakes, all of them at once. */
const floodSize = 200
const shortLifeMs = 1_000

/** What the attack panel needs. */
export interface AttackDependencies {
  readonly bridge: SessionBridge
  readonly store: Store
  readonly probe: UpgradeProbe
  readonly otherOrigin: () => string
}

/** `POST /attacks/own`, `no-cookie`, `forged`, `expired`, `other-origin` and `flood`. */
export function attackRoutes(deps: AttackDependencies): Router {
  let isFlooding = false

  async function flood(): Promise<object> {
    if (isFlooding) return { error: 'One flood at a time.' }
    isFlooding = true
    try {
      return { flood: await countsOf(deps) }
    } finally {
      isFlooding = false
    }
  }

  return Router().post('/attacks/:kind', async (request, response) => {
    if (request.session.user === undefined) return response.status(401).json({ error: 'Log in first.' })
    const { kind } = request.params
    if (kind === 'flood') return response.json(await flood())
    const attacks = await attacksOf(kind, request.sessionID, deps)
    if (attacks === undefined) return response.status(404).json({ error: 'No such attack.' })
    const answers = []
    for (const { what, ...options } of attacks) {
      const { close, ...answer } = await deps.probe.send(options)
      close()
      answers.push({ what, ...answer })
    }
    return response.json({ answers })
  })
}

async function attacksOf(kind: string, sessionID: string, deps: AttackDependencies): Promise<Attack[] | undefined> {
  const { bridge, otherOrigin } = deps
  const cookie = bridge.signedCookie(sessionID)
  const [name = ''] = cookie.split('=', 1)
  switch (kind) {
    case 'own':
      return [{ what: 'Your cookie as it is', cookie }]
    case 'no-cookie':
      return [{ what: 'No cookie' }]
    case 'forged':
      return [
        { what: 'Your cookie with another signature', cookie: withLastCharacterChanged(cookie) },
        { what: 'Your session ID without a signature', cookie: `${name}=${encodeURIComponent(sessionID)}` },
        { what: 'An invented ID, signed with the right secret', cookie: bridge.signedCookie(randomUUID()) },
      ]
    case 'expired': {
      const shortLived = bridge.signedCookie(await newSession(deps.store, 'Guest for a second', shortLifeMs))
      await pause(2 * shortLifeMs)
      return [{ what: 'A well-signed cookie whose session expired a second ago', cookie: shortLived }]
    }
    case 'other-origin':
      return [{ what: `Your cookie, sent by a page of ${otherOrigin()}`, cookie, origin: otherOrigin() }]
    default:
      return undefined
  }
}

/* All with the same good cookie: the bridge lets in as many as `maxSocketsPerSession` says, and no more. */
async function countsOf({ bridge, store, probe }: AttackDependencies): Promise<object[]> {
  const sessionID = await newSession(store, 'Flood', 60_000)
  const cookie = bridge.signedCookie(sessionID)
  const answers = await Promise.all(Array.from({ length: floodSize }, () => probe.send({ cookie })))
  await bridge.destroy(sessionID)
  const counts = new Map<string, Pick<ProbeResult, 'status' | 'reason'> & { count: number }>()
  for (const { status, reason, close } of answers) {
    close()
    const key = `${status} ${reason ?? ''}`
    counts.set(key, { status, reason, count: (counts.get(key)?.count ?? 0) + 1 })
  }
  return [...counts.values()].sort((one, other) => one.status - other.status)
}

/* As a login makes it, by the store's own methods. */
async function newSession(store: Store, user: string, maxAgeMs: number): Promise<string> {
  const sessionID = randomUUID()
  const cookie = new Cookie()
  cookie.originalMaxAge = cookie.maxAge = maxAgeMs
  await new Promise<void>((resolve, reject) => {
    store.set(sessionID, { cookie, user, role: 'visitor' }, (error?: Error | null) => {
      if (error) reject(error)
      else resolve()
    })
  })
  return sessionID
}

function withLastCharacterChanged(cookie: string): string {
  return cookie.slice(0, -1) + (cookie.endsWith('A') ? 'B' : 'A')
}
