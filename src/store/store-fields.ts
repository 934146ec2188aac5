/*
 * What a store adds to the records it gives, for its own use.
 */
import type { SessionData, Store } from 'express-session'

interface StoreOptions {
  readonly filePattern?: unknown
  readonly touchAfter?: unknown
}

/**
 * The names of these fields. A touch changes them, which is no change of the session.
 *
 * - session-file-store: `__lastAccess`, the time of the last touch
 * - connect-mongo with `touchAfter`: `lastModified`, the time of the last write that it did not skip
 */
export function storeFieldsOf(store: Store): readonly string[] {
  const { options } = store as { options?: StoreOptions }
  if (typeof options !== 'object') return []
  if (options.filePattern instanceof RegExp) return ['__lastAccess']
  return typeof options.touchAfter === 'number' && options.touchAfter > 0 ? ['lastModified'] : []
}

/** The record without them; itself where it has none. */
export function withoutStoreFields(record: SessionData, names: readonly string[]): SessionData {
  if (!names.some((name) => name in record)) return record
  return Object.fromEntries(Object.entries(record).filter(([key]) => !names.includes(key))) as unknown as SessionData
}
