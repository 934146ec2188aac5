/*
 * The front door: every public name, one by one.
 */
export { createSessionBridge } from './bridge.js'
export type { MountOptions, SessionBridge } from './bridge.js'
export type { SessionBridgeOptions } from './options.js'
export type { Counts, SessionBridgeEvents, SessionBridgeStats } from './reporter.js'
export { SessionEndedError, StoreUnavailableError } from './errors.js'
export { CloseCode } from './verdict.js'
export type { Refusal, RefusalReason, SessionEnd } from './verdict.js'
export type { Verdict } from './handshake/authenticate.js'
export type { Origins } from './handshake/origin.js'
export type { Authorize } from './live/authorize.js'
export type { HandshakeInfo, SessionContext, SessionContextEvents } from './live/context.js'
export type { JsonOf, SessionCookieData, SessionDraft, SessionSnapshot } from './store/snapshot.js'
export type { ConnectionListener } from './upgrade/upgrade.js'
export type { UpgradeServer } from './upgrade/router.js'
