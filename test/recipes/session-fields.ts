// A field of the session, declared for express-session and the bridge at once.
// #region docs
import 'express-session'

declare module 'express-session' {
  interface SessionData {
    cartID?: string
  }
}
// #endregion
