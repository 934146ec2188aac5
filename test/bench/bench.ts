/*
 * What a workload is given, and what it gives.
 */
import { spawnPostgresServer, type PostgresServer } from '../support/postgres-server.js'
import { spawnRedisServer, type RedisServer } from '../support/redis-server.js'
import type { Table } from './table.js'

export interface Workload {
  readonly name: string
  run(bench: Bench): Promise<void>
}

/** One run of the command. */
export class Bench {
  readonly quick: boolean
  readonly tables: Table[] = []
  readonly #show: (table: Table) => void
  #redis: Promise<RedisServer> | undefined
  #postgres: Promise<PostgresServer> | undefined
  #stage = ''

  constructor(quick: boolean, show: (table: Table) => void) {
    this.quick = quick
    this.#show = show
  }

  /** The one or the other, as the form of the run is. */
  sized<T>(full: T, quick: T): T {
    return this.quick ? quick : full
  }

  add(table: Table): void {
    this.tables.push(table)
    this.#clear()
    this.#show(table)
  }

  /** What is being worked on, until the next call. */
  stage(stage: string): void {
    this.#stage = stage
    if (!process.stderr.isTTY) process.stderr.write(`${this.#since()} ${stage}\n`)
    this.progress('')
  }

  /** How far it has come. */
  progress(text: string): void {
    if (!process.stderr.isTTY) return
    this.#clear()
    process.stderr.write(`${this.#since()} ${this.#stage} ${text}`)
  }

  /** `REDIS_URL`, or a server of the run's own, started when it is first asked for. */
  async redisUrl(): Promise<string> {
    if (process.env.REDIS_URL) return process.env.REDIS_URL
    this.#redis ??= spawnRedisServer()
    return (await this.#redis).url
  }

  /** A server of the run's own, started when it is first asked for. */
  async postgresUrl(): Promise<string> {
    this.#postgres ??= spawnPostgresServer()
    return (await this.#postgres).url
  }

  async close(): Promise<void> {
    this.#clear()
    await (await this.#redis)?.stop()
    await (await this.#postgres)?.stop()
  }

  #since(): string {
    return `[${Math.round(performance.now() / 1000)} s]`
  }

  #clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\u001B[K')
  }
}
