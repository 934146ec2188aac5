/*
 * Where a request came from, for `context.handshake`.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import { createPrivateSlot } from '../internal/private-slot.js'
import type { HandshakeInfo } from '../live/session-context.js'

type AddressedSocket = Duplex & { readonly remoteAddress?: string | undefined }

/**
 * The address, or the socket that is still to be asked for it: that is a system call, and costs as much as three signatures. The
 * reference is weak, since a context may be kept for longer than its connection.
 */
const addresses = createPrivateSlot<HandshakeInfo, WeakRef<AddressedSocket> | string | undefined>()

/** Whose address is still to be read when a socket closes. */
const handshakes = createPrivateSlot<Duplex, HandshakeInfo>()

/** One accessor for all of them. */
const lazyAddress: PropertyDescriptor & ThisType<HandshakeInfo> = {
  enumerable: true,
  get() {
    return addressOf(this)
  },
}

function addressOf(handshake: HandshakeInfo): string | undefined {
  const address = addresses.get(handshake)
  if (!(address instanceof WeakRef)) return address
  const read = address.deref()?.remoteAddress
  addresses.set(handshake, read)
  return read
}

/** What `context.handshake` says of a request: plain data, except that the address is read when it is first asked for. */
export function handshakeInfoOf(request: IncomingMessage & { originalUrl?: string }): HandshakeInfo {
  const socket = request.socket as AddressedSocket | undefined
  const handshake = {
    // authenticate() may be given an Express request, whose `url` a router has shortened, or a request without a socket.
    url: request.originalUrl ?? request.url ?? '',
    origin: request.headers.origin,
    at: Date.now(),
  } as HandshakeInfo
  Object.defineProperty(handshake, 'remoteAddress', lazyAddress)
  if (socket !== undefined) addresses.set(handshake, new WeakRef(socket))
  return Object.freeze(handshake)
}

/**
 * Reads the address at the latest when the server's side is closed ('finish'): once both sides are, the operating system no longer
 * knows it. A listener of 'end' would be the third one there, for which Node makes room for 17, 168 bytes for each socket.
 */
export function readAddressAtEnd(handshake: HandshakeInfo, socket: Duplex): void {
  handshakes.set(socket, handshake)
  socket.on('finish', readAddress)
}

function readAddress(this: Duplex): void {
  const handshake = handshakes.get(this)
  if (handshake !== undefined) addressOf(handshake)
}
