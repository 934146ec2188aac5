// whether it may connect, and its user as in an HTTP request.
// #region docs
import type { Request, RequestHandler, Response } from 'express'
import type passport from 'passport'
import type { Authorize, SessionRequest } from 'ws-session-bridge'

declare module 'express-session' {
  interface SessionData {
    passport?: { user?: string } // what your serializeUser makes
  }
}

/** A session alone is no login: a message about a wrong password or a cart makes one, too. */
export const isLoggedIn: Authorize = ({ passport }) => passport?.user !== undefined

/** The user as your deserializeUser finds it now; undefined if it finds none. */
export function userOf(
  authenticator: passport.Authenticator,
  upgrade: SessionRequest,
): Promise<Express.User | undefined> {
  const request = upgrade as Request
  delete request.user
  const deserialize = authenticator.session() as RequestHandler
  return new Promise((resolve, reject) => {
    void deserialize(request, {} as Response, (error?: unknown) => {
      if (error) reject(new Error('Passport finds no user.', { cause: error }))
      else resolve(request.user)
    })
  })
}
// #endregion
