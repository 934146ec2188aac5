/*
 * What a request says for `context.handshake`, kept until that is asked for.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import { createPrivateSlot } from '../internal/private-slot.js'
import type { HandshakeInfo, HandshakeSource } from '../live/handshake-info.js'

type AddressedSocket = Duplex & { readonly remoteAddress?: string | undefined }

/** Whose address the accessor reads. */
const sources = createPrivateSlot<HandshakeInfo, RequestHandshake>()

/** Whose address is still to be read when a socket closes. */
const open = createPrivateSlot<Duplex, RequestHandshake>()

const begunAt = Date.now()

/** One accessor for all of them. */
const lazyAddress: PropertyDescriptor & ThisType<HandshakeInfo> = {
  enumerable: true,
  get() {
    return sources.get(this)?.readAddress()
  },
}

/** Where one request came from. Most are never asked, so the frozen object that the app sees is made on first use. */
export class RequestHandshake implements HandshakeSource {
  readonly #url: string
  readonly #origin: string | undefined
  /**
   * Since the process began: for 24 days an integer that needs no object of its own, which for a date would be 16 bytes. V8 takes a
   * difference of dates for a fraction, unless it is rounded.
   */
  readonly #atMs = Math.floor(Date.now() - begunAt)
  /** The address, or the socket that is still to be asked for it: that is a system call, and costs as much as three signatures. */
  #address: AddressedSocket | WeakRef<AddressedSocket> | string | undefined
  #info: HandshakeInfo | undefined

  constructor(request: IncomingMessage & { originalUrl?: string }) {
    // authenticate() may be given an Express request, whose `url` a router has shortened, or a request without a socket.
    this.#url = request.originalUrl ?? request.url ?? ''
    this.#origin = request.headers.origin
    this.#address = request.socket
  }

  /** Plain data, except that the address is read when it is first asked for. */
  get info(): HandshakeInfo {
    if (this.#info !== undefined) return this.#info
    const info = { url: this.#url, origin: this.#origin, at: begunAt + this.#atMs } as HandshakeInfo
    Object.defineProperty(info, 'remoteAddress', lazyAddress)
    sources.set(info, this)
    this.#info = Object.freeze(info)
    return info
  }

  readAddress(): string | undefined {
    const address = this.#address
    if (typeof address !== 'object') return address
    const socket = address instanceof WeakRef ? address.deref() : address
    this.#address = socket?.remoteAddress
    return this.#address
  }

  /**
   * Reads the address at the latest when the server's side is closed ('finish'): once both sides are, the operating system no longer
   * knows it. A listener of 'end' would be the third one there, for which Node makes room for 17, 168 bytes for each socket.
   */
  readAddressAtEnd(socket: Duplex): void {
    open.set(socket, this)
    socket.on('finish', readAddress)
  }

  /** For a context without a socket of its own, which may be kept for longer than the request's. */
  weaken(): void {
    const address = this.#address
    if (typeof address === 'object' && !(address instanceof WeakRef)) this.#address = new WeakRef(address)
  }
}

function readAddress(this: Duplex): void {
  open.get(this)?.readAddress()
}
