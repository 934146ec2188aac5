/*
 * The last resort for an exception in a timer or a callback, which has no caller to throw to.
 */

/** Emits a process warning. The error's message stays out of it, because it may hold a session ID. */
export function warnOfFailure(where: string, error: unknown): void {
  const name = error instanceof Error ? error.name : typeof error
  process.emitWarning(`${where} threw (${name}).`, { type: 'SessionBridgeWarning' })
}
