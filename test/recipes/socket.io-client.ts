// A page's Socket.IO client: it comes back where that makes sense, and asks for a login where it does not.

// #region docs
import type { Socket } from 'socket.io-client'

/** `isLoggedIn` asks over HTTP, which tells a refusal from a network that is away; it rejects for the latter. */
export function followSession(socket: Socket, isLoggedIn: () => Promise<boolean>, showLogin: () => void): void {
  socket.on('disconnect', (reason) => {
    if (reason !== 'io server disconnect') return
    // The session ended. Once more by hand: after a login, the new cookie gets in. It comes a moment after the end.
    setTimeout(() => socket.connect(), 500 + 1_000 * Math.random())
  })
  socket.on('connect_error', () => {
    isLoggedIn().then(
      (yes) => {
        if (yes) return
        socket.disconnect() // or it would try for ever
        showLogin()
      },
      () => undefined, // Socket.IO tries again by itself, with growing pauses
    )
  })
}
// #endregion
