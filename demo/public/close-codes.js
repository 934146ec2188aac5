// What each close code means, and whether the page reconnects.

const endings = {
  1001: { what: 'The server is going away.', back: true },
  1006: { what: 'The connection broke without a close frame.', back: true },
  1008: { what: 'An administrator has kicked this socket. Your session is still there.', back: false },
  1011: { what: 'Something went wrong in the server.', back: true },
  1013: { what: 'The server could not check your session for a while.', back: true },
  4401: { what: 'The session is gone.', back: false },
  4403: { what: 'Your session is still there, but it may no longer use this socket.', back: false },
}

const reasons = {
  destroyed:
    'The session was signed out in another tab or by an administrator, so the server closed all of its sockets.',
  expired: 'The session has expired, because no message and no request came for too long.',
}

export function endingOf({ code, reason }) {
  const { what, back } = endings[code] ?? { what: 'The socket was closed.', back: true }
  return { code, reason, name: [code, reason].filter(Boolean).join(' '), what: reasons[reason] ?? what, back }
}
