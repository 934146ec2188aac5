/*
 * Which mount an upgrade belongs to: one listener for a server, however many bridges and mounts.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import { pathnameOf } from '../authenticate/request-target.js'
import { noteArrival } from './claimed-upgrade.js'
import type { FindSuccessor } from './unanswered-upgrades.js'
import type { UpgradeHandler } from './upgrade-handler.js'
import type { UpgradeTarget } from './upgrade-target.js'

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** As much of a server as a bridge needs: one of `node:http` or `node:https`, or of `node:http2` with `allowHTTP1`. */
export interface UpgradeServer {
  /** Puts the bridge's listener before all others. */
  prependListener(event: 'upgrade', listener: UpgradeListener): unknown
  /** Takes it away again. */
  off(event: 'upgrade', listener: UpgradeListener): unknown
  /** Tells whether others listen, too. */
  listenerCount(event: 'upgrade'): number
}

/** A path of a server and what serves it. */
export interface Mount {
  /** Equal to the raw pathname, or tested on it; undefined: all paths that no other mount takes. */
  readonly path: string | RegExp | undefined
  readonly handler: UpgradeHandler
  readonly target: UpgradeTarget
}

/** Two bridges on one server share its router, else each would leave an unclaimed path to the other, and none would answer. */
const routers = new WeakMap<UpgradeServer, Router>()

/**
 * Adds a mount to a server. Returns what takes it off again.
 *
 * @throws {TypeError} for a path that no upgrade could match, or that is taken.
 */
export function mountOn(server: UpgradeServer, mount: Mount): () => void {
  if (typeof (server as Partial<UpgradeServer> | undefined)?.prependListener !== 'function') {
    throw new TypeError('attach: the first argument must be an http or https server.')
  }
  const { path } = mount
  checkPath(path)
  const router = routers.get(server) ?? new Router(server)
  routers.set(server, router)
  // A RegExp of our own: testing one moves its lastIndex, and a frozen one would throw.
  return router.add({ ...mount, path: path instanceof RegExp ? new RegExp(path) : path })
}

class Router {
  readonly #server: UpgradeServer
  readonly #mounts: Mount[] = []

  constructor(server: UpgradeServer) {
    this.#server = server
  }

  add(mount: Mount): () => void {
    const { path } = mount
    if (typeof path === 'string' && this.#mounts.some((other) => other.path === path)) {
      throw new TypeError(
        `attach: the path ${JSON.stringify(path)} is taken on this server. Detach the other mount first.`,
      )
    }
    // First of all: what is written to the socket later was written by another listener.
    if (this.#mounts.length === 0) this.#server.prependListener('upgrade', this.#onUpgrade)
    this.#mounts.push(mount)
    return () => {
      this.#remove(mount)
    }
  }

  #remove(mount: Mount): void {
    const index = this.#mounts.indexOf(mount)
    if (index === -1) return
    this.#mounts.splice(index, 1)
    if (this.#mounts.length === 0) this.#server.off('upgrade', this.#onUpgrade)
  }

  readonly #onUpgrade: UpgradeListener = (request, socket, head) => {
    noteArrival(socket)
    const pathname = pathnameOf(request.url)
    const mount = this.#mountFor(pathname)
    if (mount === undefined) return this.#unclaimed(request, socket, pathname)
    const { path, handler, target } = mount
    if (path === undefined && this.#hasOtherListeners) handler.mountedBesideOthers(this.#server)
    if (pathname === undefined) return handler.refuse(request, socket, 'bad-request')
    void handler.handle(target, request, socket, head)
  }

  /* No mount has this path. Another listener may want it, and may still be waiting to answer. */
  #unclaimed(request: IncomingMessage, socket: Duplex, pathname: string | undefined): void {
    const handler = this.#openHandler ?? this.#mounts[0]?.handler
    if (this.#hasOtherListeners) handler?.unanswered.watch(request, this.#findSuccessor)
    else handler?.refuse(request, socket, pathname === undefined ? 'bad-request' : 'not-found')
  }

  /* Of a bridge that is not closing. */
  get #openHandler(): UpgradeHandler | undefined {
    return this.#mounts.find(({ handler }) => !handler.isShuttingDown)?.handler
  }

  readonly #findSuccessor: FindSuccessor = () => this.#openHandler?.unanswered

  get #hasOtherListeners(): boolean {
    return this.#server.listenerCount('upgrade') > 1
  }

  #mountFor(pathname: string | undefined): Mount | undefined {
    let rest: Mount | undefined
    for (const mount of this.#mounts) {
      if (mount.path === undefined) rest ??= mount
      else if (pathname !== undefined && matches(mount.path, pathname)) return mount
    }
    return rest
  }
}

function checkPath(path: unknown): void {
  if (path === undefined || path instanceof RegExp) return
  if (typeof path !== 'string' || pathnameOf(path) !== path) {
    throw new TypeError(`attach: \`path\` must be a RegExp or a pathname such as '/chat', not ${JSON.stringify(path)}.`)
  }
  const onWire = path.replace(/[^!-~]+/g, (text) => encodeURIComponent(Buffer.from(text).toString()))
  if (onWire === path) return
  // RFC 3986, section 2: what no client sends, no request can match.
  throw new TypeError(`attach: \`path\` must be as it is sent, percent-encoded: ${JSON.stringify(onWire)}.`)
}

function matches(path: string | RegExp, pathname: string): boolean {
  if (typeof path === 'string') return path === pathname
  // A global or sticky RegExp would go on where its last test ended.
  path.lastIndex = 0
  return path.test(pathname)
}
