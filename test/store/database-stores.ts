// stores on a map in this process, each with one habit of real ones.
import { Store, type SessionData } from 'express-session'
import { rest } from '../live/bound.js'

type Callback = ((error?: unknown, value?: SessionData | null) => void) | undefined

/** Keeps objects as they are, as a document database keeps Dates. Every call takes a turn of the event loop each way. */
export class DocumentStore extends Store {
  readonly data = new Map<string, SessionData>()
  /** What `touch` was given. */
  readonly touched: SessionData[] = []

  override readonly get = (sessionID: string, callback: Callback): void => {
    setImmediate(() => {
      const record = this.data.get(sessionID)
      setImmediate(() => callback?.(null, record === undefined ? null : { ...record }))
    })
  }

  override readonly set = (sessionID: string, session: SessionData, callback?: Callback): void => {
    const document = { ...session, cookie: JSON.parse(JSON.stringify(session.cookie)) as SessionData['cookie'] }
    setImmediate(() => {
      this.data.set(sessionID, document)
      if (callback) setImmediate(callback)
    })
  }

  override touch = (sessionID: string, session: SessionData, callback?: () => void): void => {
    this.touched.push(session)
    this.set(sessionID, session, callback)
  }

  override readonly destroy = (sessionID: string, callback?: Callback): void => {
    setImmediate(() => {
      this.data.delete(sessionID)
      if (callback) setImmediate(callback)
    })
  }
}

/** Its `touch` reads the record and writes it back with the new cookie, as files, memcached and Prisma have it. */
export class ReadingTouchStore extends DocumentStore {
  override touch = (sessionID: string, { cookie }: SessionData, callback?: () => void): void => {
    setImmediate(() => {
      const record = this.data.get(sessionID)
      void rest(8).then(() => {
        if (record) this.data.set(sessionID, { ...record, cookie })
        callback?.()
      })
    })
  }
}

/** The same store without `touch`, which is optional. */
export function withoutTouch<S extends Store>(store: S): S {
  Object.defineProperty(store, 'touch', { value: undefined })
  return store
}
