// A page's Socket.IO client: it comes back where that makes sense, and asks for a login where it does not.

// #region docs
import type { Socket } from 'socket.io-client'

/** `isLoggedIn` asks over HTTP. It rejects if the network is down. */
export function followSession(socket: Socket, isLoggedIn: () => Promise<boolean>, showLogin: () => void): void {
  async function ask() {
    if (await isLoggedIn()) return true
    socket.disconnect() // otherwise it would try forever
    showLogin()
    return false
  }
  socket.on('disconnect', (reason) => {
    // The server ended it, and Socket.IO stays away. If that was a login, its new cookie comes a moment later.
    if (reason !== 'io server disconnect') return
    setTimeout(() => {
      ask().then(
        (yes) => yes && socket.connect(),
        () => socket.connect(), // no network: Socket.IO tries again, with growing pauses
      )
    }, 500)
  })
  socket.on('connect_error', () => {
    ask().catch(() => undefined) // no network: Socket.IO tries again, with growing pauses
  })
}
// #endregion
