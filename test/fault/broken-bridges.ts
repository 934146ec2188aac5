// bridges that lack what was built against one fault each, for a search that has to find it.
import { vi } from 'vitest'
import { OwnDestroys } from '../../src/live/own-destroys.js'
import { Reauthorization } from '../../src/live/reauthorization.js'
import { SessionHolds } from '../../src/live/session-holds.js'
import { SessionLease } from '../../src/live/session-lease.js'
import { SessionActivity } from '../../src/store/session-activity.js'
import { StoreActivity } from '../../src/store/store-activity.js'
import { SmallClock } from './small-store.js'

/** After one load the handshake takes what it has for current, whatever has been heard since: a limit that fails open. */
export function letInAfterOneLoad(): void {
  const loads = new WeakMap<SessionLease, number>()
  const { load } = SessionLease.prototype
  vi.spyOn(SessionLease.prototype, 'load').mockImplementation(function (this: SessionLease) {
    loads.set(this, (loads.get(this) ?? 0) + 1)
    return load.call(this)
  })
  const { isCurrent } = SessionLease.prototype
  vi.spyOn(SessionLease.prototype, 'isCurrent').mockImplementation(function (this: SessionLease, found) {
    return loads.get(this) === 1 || isCurrent.call(this, found)
  })
  const isRemoved = Object.getOwnPropertyDescriptor(SessionLease.prototype, 'isRemoved')?.get
  vi.spyOn(SessionLease.prototype, 'isRemoved', 'get').mockImplementation(function (this: SessionLease) {
    return loads.get(this) !== 1 && (isRemoved?.call(this) as boolean)
  })
}

/** A yes counts, whatever has been asked since. */
export function takeOlderYes(): void {
  vi.spyOn(Reauthorization.prototype, 'permit').mockImplementation(function (this: Reauthorization, context) {
    this.remove(context)
    return true
  })
}

/** A logout of this process is only a reason to read. */
export function readAfterOwnLogout(): void {
  vi.spyOn(SessionHolds.prototype, 'destroyCalled').mockReturnValue()
  vi.spyOn(SessionHolds.prototype, 'needsRead').mockReturnValue()
  vi.spyOn(OwnDestroys.prototype, 'succeeded').mockImplementation(function (this: OwnDestroys, pending) {
    this.failed(pending)
  })
}

/** A write of the bridge does not look whether the session was destroyed meanwhile. */
export function overlookDestroys(): void {
  const { note } = SessionActivity.prototype
  vi.spyOn(SessionActivity.prototype, 'note').mockImplementation(function (this: SessionActivity, call) {
    note.call(this, call)
    this.destroys = 0
  })
}

/** The date that a touch has told is dropped when it passes, although the store may keep the session for a part of a second. */
export function dropDateWhenItPasses(): void {
  const { now } = SmallClock.prototype
  let latest = 0
  vi.spyOn(SmallClock.prototype, 'now').mockImplementation(function (this: SmallClock) {
    return (latest = now.call(this))
  })
  const { expiryOf } = StoreActivity.prototype
  vi.spyOn(StoreActivity.prototype, 'expiryOf').mockImplementation(function (this: StoreActivity, sessionID) {
    const expiresAt = expiryOf.call(this, sessionID)
    return expiresAt !== undefined && expiresAt > latest ? expiresAt : undefined
  })
}
