// what is wrong with it.
import { isDeepStrictEqual } from 'node:util'
import type { SessionData } from 'express-session'
import { vi } from 'vitest'
import {
  StoreUnavailableError,
  type RefusalReason,
  type SessionContext,
  type SessionEnd,
  type SessionSnapshot,
} from 'ws-session-bridge'
import { deadlineMs, unverifiedMs, type Member, type World } from './slow-world.js'

/** Whoever is open must be of a session that has not been gone for longer than it may take to see that. */
export function checkOpen(world: World): void {
  world.database.sweep()
  const { isLive, revalidateMs, worstMs, jumps } = world.weather
  const callMs = 2 * worstMs
  const now = performance.now()
  const sockets = new Map<string, number>()
  for (const { id } of world.open) sockets.set(id, (sockets.get(id) ?? 0) + 1)
  if (Math.max(...sockets.values()) > world.weather.maxSocketsPerSession) world.say('more sockets than there may be')
  for (const { id, context, openedAt } of world.open) {
    const row = world.database.read(id)
    if (isLive && row !== undefined && world.outages.length === 0) {
      const isOld = now > Math.max(world.database.writtenAt.get(id)!, openedAt) + worstMs + 2 * callMs + 300
      const [shown, kept] = [dataOf(context.session), dataOf(JSON.parse(row.json) as SessionData)]
      if (isOld && shown !== kept) world.say(`shows ${shown} for ${kept}`)
    }
    const departure = world.database.departed.get(id)
    if (departure === undefined) continue
    const lookMs = 2 * callMs + 1_200
    const isHeard = isLive || departure.by === 'own'
    // Its date is known; with a LiveStore, as of the answer.
    const knownMs = departure.how === 'expired' && !isLive ? 0 : callMs
    const noticedMs = isHeard && !jumps ? knownMs : revalidateMs
    const since = Math.max(departure.at, openedAt, world.outages.at(-1)?.to ?? 0)
    if (now > since + noticedMs + lookMs + (world.outages.length > 0 ? 10_000 : 0)) {
      world.say(`open ${now - departure.at} ms after ${departure.how} by ${departure.by}`)
    }
  }
}

/** All has come to rest. */
export function checkRest(world: World): void {
  if (world.running > 0) world.say(`${world.running} under way`)
  const open = world.open
  for (const { id, context } of open) {
    const row = world.database.read(id)
    // It went this very moment.
    if (row === undefined) continue
    if (dataOf(JSON.parse(row.json) as SessionData) !== dataOf(context.session)) {
      world.say(`shows ${dataOf(context.session)} for ${dataOf(JSON.parse(row.json) as SessionData)}`)
    } else if (world.weather.authorizeMs !== undefined && context.session.role === 'banned') {
      world.say('open and forbidden')
    } else if (world.weather.authorizeMs !== undefined && world.suspended.has(id)) {
      world.say('open and suspended')
    }
  }
  for (const [id, { surely, perhaps }] of world.written) {
    const row = world.database.read(id)
    if (row === undefined) continue
    const { views = 0 } = JSON.parse(row.json) as SessionData
    if (views < surely || views > surely + perhaps) world.say(`${views} views of ${surely} and perhaps ${perhaps}`)
  }
  for (const id of world.database.revived) {
    // Between a read and a write of a store with callbacks, another process may have signed out.
    if (world.database.rows.has(id) && (world.weather.isLive || !world.weather.others)) world.say(`${id} is back`)
  }
  const stats = world.bridge.stats()
  const ended = Object.values(stats.ended).reduce((sum, one) => sum + one)
  const refused = Object.values(stats.refused).reduce((sum, one) => sum + one)
  const expected = {
    pending: 0,
    sockets: open.length,
    sessions: new Set(open.map(({ id }) => id)).size,
    users: world.weather.identifies ? new Set(open.flatMap(({ context }) => context.session.user ?? [])).size : 0,
    accepted: world.members.length + world.anonymous,
    ended: world.members.length - open.length + world.notAccepted,
    refused: world.refusals,
    // A touch that failed, or was too late: of the store, nothing else is a fault.
    faults: world.faults.filter((fault) => fault instanceof StoreUnavailableError).length,
  }
  const actual = { ...stats, ended, refused }
  if (!isDeepStrictEqual(actual, expected)) {
    world.say(`stats ${JSON.stringify(actual)} for ${JSON.stringify(expected)}; ${String(world.faults[0])}`)
  }
  for (const member of world.members) checkEnds(world, member)
}

/** The bridge is closed, and whatever was on its way has come. */
export function checkClosed(world: World): void {
  if (world.open.length > 0) world.say('open after the end')
  if (world.running > 0) world.say(`${world.running} under way after the end`)
  if (world.live !== undefined && world.live.watched.size > 0)
    world.say(`${world.live.watched.size} watched after the end`)
  const { pending, sockets, sessions } = world.bridge.stats()
  if (pending + sockets + sessions > 0) world.say('counted after the end')
  if (vi.getTimerCount() > 0) world.say(`${vi.getTimerCount()} timers after the end`)
  for (const member of world.members) checkEnds(world, member)
}

function checkEnds(world: World, { id, context, ends, hasLeft, openedAt }: Member): void {
  if (context.ended === undefined ? ends.length > 0 : ends.length !== 1 || ends[0] !== context.ended) {
    world.say(`ends ${JSON.stringify(ends)} of ${JSON.stringify(context.ended)}`)
  }
  switch (context.ended?.reason) {
    case 'forbidden':
      if (!world.banned.has(id) && !world.everSuspended.has(id)) world.say('forbidden without a reason')
      break
    case 'unverified':
      if (!world.outages.some(({ from, to }) => to - from > unverifiedMs - 3 * deadlineMs && to > openedAt))
        world.say('unverified without a reason')
      break
    case 'disconnected':
      if (!world.disconnected.has(id) && world.weather.maxSocketsPerSession === Infinity)
        world.say('disconnected without a reason')
      break
    case 'closed':
      if (!hasLeft) world.say('closed by nobody')
      break
    case 'shutdown':
      if (!world.isClosing) world.say('shut down before the end')
      break
    default:
  }
}

/** A message has reached its handler. */
export function checkHandled(world: World, { sessionID, ended }: SessionContext): void {
  // What was held back of a connection whose client has closed it is still delivered.
  if (ended !== undefined && ended.reason !== 'closed') world.say('a message was handled after the end')
  const { signedOut, suspended, database, outages, weather } = world
  if (signedOut.has(sessionID) && outages.length === 0 && !database.returned.has(sessionID))
    world.say('a message was handled after a logout of this process')
  if (suspended.has(sessionID) && weather.authorizeMs !== undefined)
    world.say('a message was handled that `authorize` had been asked about')
}

/** What is told at once, when a connection ends. */
export function checkEnd(world: World, { id, openedAt }: Member, { reason }: SessionEnd): void {
  const lasted = performance.now() - openedAt
  const { isLive, worstMs, keepAlive, jumps, maxAgeMs } = world.weather
  if (reason === 'destroyed' || reason === 'expired') {
    if (!world.isGone(id)) world.say(`${reason} where the store has it`)
    if (world.database.read(id) === undefined) world.knownGone.add(id)
  }
  if (reason === 'unverified' && lasted < unverifiedMs - 3 * deadlineMs) world.say(`unverified after ${lasted} ms`)
  // A touch of a store with callbacks is two calls, within one deadline.
  const isInTime = isLive || worstMs <= 1_200
  const isKept = keepAlive === 'connected' && isInTime && !jumps && world.outages.length === 0 && maxAgeMs >= 60_000
  const hasExpired = world.database.departed.get(id)?.how === 'expired'
  if (hasExpired && isKept && lasted > 2 * deadlineMs) world.say('expired while it was connected')
}

/** What a handshake that began then was refused for. */
export function checkRefusal(world: World, id: string, reason: RefusalReason, from: number): void {
  const isTrue = (): boolean => {
    switch (reason) {
      case 'no-session':
        return world.isGone(id)
      case 'session-expired':
        // What the handshake has read may have been put off since.
        return world.isGone(id) || world.database.datedAt.get(id)! >= from
      case 'shutting-down':
        return world.isClosing
      case 'too-many-sockets':
        return world.weather.maxSocketsPerSession < Infinity
      case 'forbidden':
        return (
          world.everSuspended.has(id) ||
          world.banned.get(id)?.some(({ to }) => to >= from || !world.weather.isLive) === true
        )
      case 'store-failed':
      case 'timeout':
        // A session that has changed at each of its loads cannot be verified, and a handshake may have to load four times.
        return (
          world.wasAwaySince(from) ||
          (reason === 'timeout' ? performance.now() - from >= deadlineMs : world.database.writtenAt.get(id)! >= from)
        )
      default:
        return false
    }
  }
  if (!isTrue()) world.say(`refused as ${reason} after ${performance.now() - from} ms`)
}

/** All but the cookie, which moves with every touch. */
export function dataOf(session: SessionSnapshot | SessionData): string {
  const { cookie: _, ...data } = session as Record<string, unknown>
  return JSON.stringify(Object.entries(data).sort())
}
