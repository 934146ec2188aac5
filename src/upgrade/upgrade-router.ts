/*
 * Which mount an upgrade belongs to: one listener for a server, however many bridges and mounts.
 */
import type { Server as HttpServer } from 'node:http'
import type { Server as HttpsServer } from 'node:https'

import { pathnameOf } from '../authenticate/request-target.js'
import type { RefusalReason } from '../refusals.js'
import type { Upgrade } from './raw-upgrade.js'
import { surviveErrors } from './survive-errors.js'

/** An http or https server. */
export type UpgradeServer = HttpServer | HttpsServer

/** A path of a server and what serves it. */
export interface Mount {
  /** Equal to the raw pathname, or tested on it; undefined: all paths that no other mount takes. */
  readonly path: string | RegExp | undefined
  handle(upgrade: Upgrade): void
  refuse(upgrade: Upgrade, reason: Extract<RefusalReason, 'bad-request' | 'not-found'>): void
}

/** Two bridges on one server share its router, else each would leave an unclaimed path to the other, and nobody would answer. */
const routers = new WeakMap<UpgradeServer, Router>()

/**
 * Adds a mount to a server. Returns what takes it off again.
 *
 * @throws {TypeError} for a path that no upgrade could match, or that is taken.
 */
export function mountOn(server: UpgradeServer, mount: Mount): () => void {
  if (typeof (server as Partial<UpgradeServer> | undefined)?.on !== 'function') {
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
    if (this.#mounts.length === 0) this.#server.on('upgrade', this.#onUpgrade)
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

  readonly #onUpgrade = (request: Upgrade['request'], socket: Upgrade['socket'], head: Buffer): void => {
    // Also for what is left to others: they may answer late, and listen for errors only then.
    surviveErrors(socket)
    const upgrade = { request, socket, head }
    const pathname = pathnameOf(request.url)
    const mount = this.#mountFor(pathname)
    if (mount !== undefined && pathname !== undefined) return mount.handle(upgrade)
    if (mount !== undefined) return mount.refuse(upgrade, 'bad-request')
    // Somebody else's listener may want it, and may still be waiting to answer.
    if (this.#server.listenerCount('upgrade') > 1) return
    this.#mounts[0]?.refuse(upgrade, pathname === undefined ? 'bad-request' : 'not-found')
  }

  #mountFor(pathname: string | undefined): Mount | undefined {
    const named = this.#mounts.find(
      ({ path }) => path !== undefined && pathname !== undefined && matches(path, pathname),
    )
    return named ?? this.#mounts.find(({ path }) => path === undefined)
  }
}

function checkPath(path: unknown): void {
  if (path === undefined || path instanceof RegExp) return
  if (typeof path !== 'string' || pathnameOf(path) !== path) {
    throw new TypeError(`attach: \`path\` must be a RegExp or a pathname such as '/chat', not ${JSON.stringify(path)}.`)
  }
}

function matches(path: string | RegExp, pathname: string): boolean {
  if (typeof path === 'string') return path === pathname
  // A global or sticky RegExp would go on where its last test ended.
  path.lastIndex = 0
  return path.test(pathname)
}
