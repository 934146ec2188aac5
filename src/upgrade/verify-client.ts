/*
 * A ws server's `verifyClient`, asked by the bridge so that its no is answered as every other refusal is.
 */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'

import type { WebSocketServer } from 'ws'

import { isThenable } from '../internal/is-thenable.js'

type VerifyClient = (info: { origin: string; secure: boolean; req: IncomingMessage }) => unknown

/** What is wrong with a `verifyClient` that takes a callback. */
export const callbackMisuse =
  '`verifyClient` must not take a callback: messages would be lost between its answer and the 101. ' +
  'Use the option `authorize`.'

/** Whether ws would call back later, and so complete the upgrade without the bridge. */
export function takesCallback({ verifyClient }: WebSocketServer['options']): boolean {
  return typeof verifyClient === 'function' && verifyClient.length === 2
}

/**
 * Asks `verifyClient` with what ws would give it. True where there is none.
 *
 * @throws what it throws; {@link TypeError} for a promise, which ws would take for a yes.
 */
export function isVerified({ options }: WebSocketServer, request: IncomingMessage): boolean {
  const verifyClient = options.verifyClient as VerifyClient | undefined
  if (!verifyClient) return true
  const { authorized, encrypted } = request.socket as Partial<TLSSocket>
  const answer = verifyClient.call(options, {
    origin: request.headers.origin as string,
    secure: authorized === true || encrypted === true,
    req: request,
  })
  if (!isThenable(answer)) return Boolean(answer)
  answer.then(undefined, () => undefined)
  throw new TypeError(
    '`verifyClient` must return true or false, at once. For an asynchronous check use the option `authorize`.',
  )
}

/** Runs `upgrade` while the ws server does not ask about this request a second time. */
export function withoutVerifyClient(wss: WebSocketServer, request: IncomingMessage, upgrade: () => void): void {
  const { options } = wss
  const verifyClient = options.verifyClient as VerifyClient | undefined
  if (!verifyClient) return upgrade()
  // Another request, handed to the ws server by one of its listeners meanwhile, is asked about as ever.
  const asksOthers: VerifyClient = (info) => info.req === request || verifyClient.call(options, info)
  options.verifyClient = asksOthers
  try {
    upgrade()
  } finally {
    options.verifyClient = verifyClient
  }
}
