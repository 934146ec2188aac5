/*
 * What the adapter of a server that makes its connections itself, such as Socket.IO, needs of a bridge besides its contract.
 */
import type { IncomingMessage } from 'node:http'

import type { AnonymousConnection } from './live/anonymous.js'
import type { SessionContext } from './live/session-context.js'
import type { AdmissionResult } from './upgrade/verdicts.js'

/** @internal */
export interface AdapterApi {
  isClosed(): boolean
  /** `authenticate()`, with what an upgrade has besides: `request.session`, a renewed cookie, an eye on who leaves. */
  admit(request: IncomingMessage): Promise<AdmissionResult>
  /** Whether a later request of the same connection comes from the same session. */
  recognizes(request: IncomingMessage, context: SessionContext): boolean
  /** A request that another listener is to answer: if it is an upgrade, its raw socket crashes nothing and is ended in time. */
  watch(request: IncomingMessage): void
  /** `bind()`, for anonymous connections, too. */
  bind(context: SessionContext | undefined, connection: AnonymousConnection): void
  fault(error: unknown): void
}

const adapterApis = new WeakMap<object, AdapterApi>()

/** @internal */
export function provideAdapterApi(bridge: object, api: AdapterApi): void {
  adapterApis.set(bridge, api)
}

/** @internal Undefined for what is no bridge. */
export function adapterApiOf(bridge: object): AdapterApi | undefined {
  return adapterApis.get(bridge)
}
