// How a socket may end, and what the page does then. In: a close code and a reason. Out: words, and whether to come back.

const endings = {
  1001: { what: 'The server is going away.', back: true },
  1006: { what: 'The line broke: no close frame came.', back: true },
  1008: { what: 'An administrator has kicked this socket. Your session is still there.', back: false },
  1011: { what: 'Something went wrong in the server.', back: true },
  1013: { what: 'The server could not check your session for a while.', back: true },
  4401: { what: 'The session is gone.', back: false },
  4403: { what: 'The session is still there, but no longer allowed to be here.', back: false },
}

const reasons = {
  destroyed:
    'Somebody logged out, here, in another tab or by an administrator, and the server closed every socket of the session.',
  expired: 'The session has expired: no message and no request had come for too long.',
}

export function endingOf({ code, reason }) {
  const { what, back } = endings[code] ?? { what: 'The socket was closed.', back: true }
  return { code, reason, what: reasons[reason] ?? what, back }
}
