/*
 * Where a connection came from.
 */

/** Makes it when it is first asked for. */
export interface HandshakeSource {
  readonly info: HandshakeInfo
}

/** Where a connection came from. Plain data: it keeps neither the request nor the raw socket. */
export interface HandshakeInfo {
  /** The request target as it was sent. */
  readonly url: string
  /** The Origin header. */
  readonly origin: string | undefined
  /**
   * The address at the other end of the TCP connection: a proxy's, behind a proxy. It is read when it is first asked for, at the
   * latest when the client closes its side; after a reset it may be undefined, as `socket.remoteAddress` is.
   */
  readonly remoteAddress: string | undefined
  /** When the request was authenticated, in ms since the epoch. */
  readonly at: number
}
