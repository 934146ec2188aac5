/*
 * Where an accepted upgrade goes: a ws server and the listener of its connections.
 */
import type { WebSocket, WebSocketServer } from 'ws'

import type { ContextKind, SessionContext } from '../live/session-context.js'
import { assertOptions } from '../internal/option-checks.js'
import type { SessionRequest } from './session-request.js'
import { callbackMisuse, takesCallback } from './verify-client.js'

/**
 * Called just before 'connection' with the same arguments, typed: ws's own types know no third one. If it throws, or
 * returns a promise that rejects, the bridge emits `fault` and closes the socket with 1011.
 *
 * `C` is `SessionContext | undefined` where anonymous requests are accepted; these have no `request.session` either.
 */
export type ConnectionListener<C = SessionContext> = (ws: WebSocket, request: SessionRequest, context: C) => void

/** Where an accepted upgrade goes. */
export interface UpgradeTarget {
  readonly wss: WebSocketServer
  readonly onConnection?: ConnectionListener<never> | undefined
  /** What contexts of this target are: with the `authorize` of the mount. Undefined: the bridge's own kind. */
  readonly kind?: ContextKind | undefined
}

/** @throws {TypeError} for a ws server that could not take an upgrade handed to it. */
export function checkUpgradeTarget({ wss, onConnection }: UpgradeTarget): void {
  const options = (wss as Partial<WebSocketServer> | undefined)?.options
  if (options?.noServer !== true) {
    throw new TypeError(
      'attach: the WebSocketServer must be made with `noServer: true`; the bridge hands it its sockets.',
    )
  }
  if (takesCallback(options)) throw new TypeError(`attach: ${callbackMisuse}`)
  if (onConnection !== undefined && typeof onConnection !== 'function') {
    throw new TypeError('attach: `onConnection` must be a function.')
  }
}

/** @throws {TypeError} for anything but options of a mount: what is misspelt or misplaced would leave it on every path. */
export function checkMount(mount: unknown): void {
  assertOptions(mount, ['path', 'onConnection', 'authorize'], 'attach', "{ path: '/chat' }")
  const { authorize } = mount as { authorize?: unknown }
  if (authorize !== undefined && typeof authorize !== 'function') {
    throw new TypeError('attach: `authorize` must be a function.')
  }
}
