/*
 * What a test may set.
 */
import { WebSocketServer } from 'ws'

import type { MountOptions } from '../bridge-contract.js'
import { longestTimerMs } from '../internal/clock.js'
import { assertWs } from '../internal/installed-version.js'
import { assertObject } from '../internal/option-checks.js'
import type { SessionContext } from '../live/session-context.js'
import type { SessionBridgeOptions } from '../options.js'

/**
 * The options of {@link createTestBridge}: those of `createSessionBridge` and of `attach`, less what the test bridge makes
 * itself. None is required.
 */
export interface TestBridgeOptions<C = SessionContext>
  extends Omit<SessionBridgeOptions, 'session' | 'live'>, MountOptions<C> {
  /** The options that your app gives to express-session, less `store` and `secret`. Default: none. */
  session?: Omit<SessionBridgeOptions['session'], 'store' | 'secret'> | undefined
  /** Your own ws server, made with `noServer: true`; its 'connection' is emitted as always. Default: a new one. */
  wss?: WebSocketServer | undefined
  /**
   * See {@link SessionBridgeOptions.revalidateMs}, in ms. Default 2 147 483 647, the longest there is: a store in this
   * process reports every change. Set it to see what a session costs while nothing happens.
   */
  revalidateMs?: number | undefined
}

/** The options, sorted. */
export interface SortedOptions {
  readonly session: Partial<SessionBridgeOptions['session']>
  readonly bridge: Omit<SessionBridgeOptions, 'session'>
  readonly wss: WebSocketServer
  readonly mount: MountOptions<never>
}

/** @throws {TypeError} for a ws that is too old, and for what is the test bridge's own affair; the rest is for the bridge and `attach` to check. */
export function sortedOptions(options: TestBridgeOptions<never>): SortedOptions {
  assertObject(options, 'createTestBridge: the options', "{ path: '/chat' }")
  assertWs('createTestBridge', '8.17', typeof WebSocketServer === 'function')
  const { session = {}, wss = new WebSocketServer({ noServer: true }), path, onConnection, ...bridge } = options
  assertObject(session, 'Option `session`', '{ rolling: true }, what you give to express-session')
  for (const name of ['store', 'secret']) {
    if (name in session) {
      throw new TypeError(
        `Option \`session.${name}\` is made by createTestBridge. Leave it out, and give its \`sessionOptions\` to your app.`,
      )
    }
  }
  if ('live' in bridge) {
    throw new TypeError('Option `live` has no place in a test bridge: its store is one in memory.')
  }
  return { session, wss, mount: { path, onConnection }, bridge: { revalidateMs: longestTimerMs, ...bridge } }
}
