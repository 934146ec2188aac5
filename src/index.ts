/**
 * Authenticates WebSockets with an express-session login, and keeps each socket true to its session.
 *
 * @module ws-session-bridge
 */
export { createSessionBridge } from './session-bridge.js'
export type { DisconnectOptions, MountOptions, SessionBridge } from './session-bridge.js'
export type { SessionBridgeOptions } from './options.js'
export type { DiagnosticsConnection, DiagnosticsMessages } from './diagnostics.js'
export type { Counts, SessionBridgeEvents, SessionBridgeStats } from './event-reporter.js'
export { announceChanges } from './channel/announce-changes.js'
export type { AnnounceChangesOptions } from './channel/announce-changes.js'
export type { Channel } from './channel/channel.js'
export { ChannelUnavailableError, SessionEndedError, StoreUnavailableError } from './errors.js'
export { CloseCode } from './refusals.js'
export type { Refusal, RefusalReason, SessionEnd } from './refusals.js'
export type { Verdict } from './authenticate/authenticator.js'
export type { Origins } from './authenticate/origin.js'
export type { Authorize } from './live/authorize.js'
export type { BoundConnection } from './live/connection.js'
export type { HandshakeInfo, SessionContext, SessionContextEvents } from './live/session-context.js'
export type { JsonOf, SessionCookieData, SessionDraft, SessionSnapshot } from './store/snapshot.js'
export type { KeepAliveMode } from './live/touch-times.js'
export type { Mutate } from './live/optimistic-writer.js'
export type { FaultKind } from './live/event-sink.js'
export type { LiveStore, ReplaceResult, StoredSession } from './store/live-store.js'
export type { SessionRequest } from './upgrade/session-request.js'
export type { ConnectionListener } from './upgrade/upgrade-target.js'
export type { UpgradeServer } from './upgrade/upgrade-router.js'
