/*
 * The last resort for an exception in code that nobody calls: a timer's, a callback's.
 */

/** Emits a process warning. The error's message stays out of it, because it may hold a session ID. */
export function warnOfFailure(where: string, error: unknown): void {
  const name = error instanceof Error ? error.name : typeof error
  process.emitWarning(`${where} threw (${name}).`, { type: 'SessionBridgeWarning' })
}
