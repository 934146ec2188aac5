// a real Cluster of three masters and three replicas on free ports, and what befalls its nodes.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient, createCluster } from 'redis'
import type { Certificate } from './certificate.js'
import { argumentsFor, encryptedOn, freePort, spawnRedisServer, type RedisServer } from './redis-server.js'

/** How long a master may be silent before its replica takes its place: in a Cluster that fails over, and in any other. */
const nodeTimeoutMs = 1_000
const patientNodeTimeoutMs = 30_000
const slotCount = 16_384

export interface ClusterNode {
  readonly id: string
  readonly port: number
  /** `host:port` as the Cluster announces it. */
  readonly address: string
  server: RedisServer
  /** For what is done to this node alone. */
  readonly admin: ReturnType<typeof adminOf>
}

export type RedisCluster = Awaited<ReturnType<typeof spawnRedisCluster>>

/** How the nodes are started, and how a client connects to them. */
export interface RedisClusterOptions {
  /** The nodes speak TLS alone, with clients and with each other, and show this certificate. */
  certificate?: Certificate | undefined
  /** A replica takes over after a second. By default none does while a test runs, however slow the machine. */
  failsOver?: boolean | undefined
}

/** Starts six servers and makes a Cluster of them: the first three are masters, the others their replicas in this order. */
export async function spawnRedisCluster({ certificate, failsOver = false }: RedisClusterOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'ws-session-bridge-cluster-'))
  const nodes = await Promise.all(Array.from({ length: 6 }, () => startNode(folder, certificate)))
  const stop = async () => {
    for (const { admin } of nodes) admin.destroy()
    await Promise.all(nodes.map(({ server }) => server.stop()))
    await rm(folder, { recursive: true })
  }
  try {
    await makeCluster(nodes)
    if (!failsOver)
      await Promise.all(nodes.map(({ admin }) => admin.configSet('cluster-node-timeout', String(patientNodeTimeoutMs))))
  } catch (error) {
    await stop()
    throw error
  }

  const owners = async () => {
    const { admin } = nodes.find(({ admin: each }) => each.isReady)!
    return (await admin.clusterSlots()).map(({ from, to, master }) => ({ from, to, node: nodeOn(master.port) }))
  }
  const nodeOn = (port: number) => nodes.find((node) => node.port === port)!

  return {
    nodes: nodes as readonly ClusterNode[],
    rootNodes: nodes.map(({ port }) => ({ url: urlOf(port, certificate) })),
    /** What a client needs besides. */
    socket: socketOf(certificate),
    /** The master that has this key now, as some node of the Cluster tells. */
    async masterOf(key: string): Promise<ClusterNode> {
      const slot = await slotOfKey(key)
      return (await owners()).find(({ from, to }) => from <= slot && slot <= to)!.node
    },
    owners,
    /** The slots of a master in which there are keys. */
    async slotsOf({ admin }: ClusterNode): Promise<number[]> {
      const keys = await admin.keys('*')
      return await Promise.all(keys.map(slotOfKey))
    },
    slotOfKey,
    /** Moves a slot with all its keys, as `redis-cli --cluster reshard` does. */
    async moveSlot(slot: number, from: ClusterNode, to: ClusterNode, halfway?: () => Promise<unknown>): Promise<void> {
      await to.admin.sendCommand(['CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', from.id])
      await from.admin.sendCommand(['CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', to.id])
      for (;;) {
        const keys = await from.admin.sendCommand<string[]>(['CLUSTER', 'GETKEYSINSLOT', String(slot), '100'])
        if (keys.length === 0) break
        await from.admin.sendCommand(['MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS', ...keys])
      }
      await halfway?.()
      for (const { admin } of [to, from]) await admin.sendCommand(['CLUSTER', 'SETSLOT', String(slot), 'NODE', to.id])
    },
    /** Calls a move off. What has been moved is lost, as to the Cluster it is where it does not belong. */
    async leaveSlot(slot: number, ...parties: readonly ClusterNode[]): Promise<void> {
      const settle = ({ admin }: ClusterNode) => admin.sendCommand(['CLUSTER', 'SETSLOT', String(slot), 'STABLE'])
      await Promise.allSettled(parties.map(settle))
    },
    /** Resolves when a replica has taken the place of every master that is gone. */
    async failedOver(): Promise<void> {
      await until('a replica took over', async () => {
        const served = await owners()
        return served.length >= 3 && served.every(({ node }) => node.admin.isReady)
      })
      await until('the Cluster is in order again', () =>
        everyNode(
          nodes.filter(({ admin }) => admin.isReady),
          ({ admin }) => knows(admin, 'cluster_state:ok'),
        ),
      )
    },
    /** Starts a node again where it was killed: empty, under its old name. */
    async restart(node: ClusterNode): Promise<void> {
      node.server = await spawnRedisServer({ port: node.port, args: argumentsOf(node as StartedNode) })
    },
    /** Resolves when a replica has all that its master has written so far. */
    async caughtUp({ admin: replica }: ClusterNode, { admin: master }: ClusterNode): Promise<void> {
      const offset = await offsetOf(master, 'master_repl_offset')
      await until('the replica has caught up', async () => (await offsetOf(replica, 'slave_repl_offset')) >= offset)
    },
    /** A replica takes over from its master in good order, when it has caught up with it. */
    async takeOver({ admin }: ClusterNode): Promise<void> {
      await until('the replica follows', () => follows(admin))
      let askedAt = -Infinity
      await until('it has taken over', async () => {
        // The Cluster gives up on it after a while, and does not say so.
        if (performance.now() - askedAt > 3_000) {
          askedAt = performance.now()
          await admin.sendCommand(['CLUSTER', 'FAILOVER'])
        }
        return (await admin.info('replication')).includes('role:master')
      })
    },
    stop,
  }

  async function slotOfKey(key: string): Promise<number> {
    return await nodes.find(({ admin }) => admin.isReady)!.admin.clusterKeySlot(key)
  }
}

async function makeCluster(nodes: readonly StartedNode[]): Promise<void> {
  const first = nodes[0]!
  await Promise.all(
    nodes.slice(0, 3).map(({ admin }, index) => {
      const [from, to] = [index, index + 1].map((third) => Math.ceil((third * slotCount) / 3))
      return admin.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', String(from), String(to! - 1)])
    }),
  )
  for (const { admin, port, busPort } of nodes.slice(1)) {
    await admin.sendCommand(['CLUSTER', 'SET-CONFIG-EPOCH', String(port)])
    await first.admin.sendCommand(['CLUSTER', 'MEET', '127.0.0.1', String(port), String(busPort)])
  }
  await until('all know each other', () => everyNode(nodes, ({ admin }) => knows(admin, 'cluster_known_nodes:6')))
  for (const [index, { admin }] of nodes.slice(3).entries()) {
    await admin.sendCommand(['CLUSTER', 'REPLICATE', nodes[index]!.id])
  }
  const sound = () => everyNode(nodes, ({ admin }) => knows(admin, 'cluster_state:ok'))
  await until('the Cluster is in order', sound)
  await until('the replicas follow', () => everyNode(nodes.slice(3), ({ admin }) => follows(admin)))
}

/** A client of the whole Cluster, open. */
export async function connectCluster({ rootNodes, socket }: Pick<RedisCluster, 'rootNodes' | 'socket'>) {
  const cluster = createCluster({
    rootNodes: [...rootNodes],
    defaults: { socket: { ...socket, reconnectStrategy: 100 } },
    // Five seconds by default.
    topologyRefreshOnReconnectionAttemptStrategy: 500,
  })
  // A node that a test kills is no error of the test.
  cluster.on('error', () => undefined)
  await cluster.connect()
  return cluster
}

interface StartedNode extends ClusterNode {
  readonly busPort: number
  readonly configFile: string
  readonly certificate: Certificate | undefined
}

async function startNode(folder: string, certificate: Certificate | undefined): Promise<StartedNode> {
  const [port, busPort] = [await freePort(), await freePort()]
  const configFile = join(folder, `${port}.conf`)
  const server = await spawnRedisServer({ port, args: argumentsOf({ port, busPort, configFile, certificate }) })
  const admin = adminOf(port, certificate)
  await admin.connect()
  const id = await admin.sendCommand<string>(['CLUSTER', 'MYID'])
  return { id, port, busPort, configFile, certificate, address: `127.0.0.1:${port}`, server, admin }
}

function argumentsOf({
  port,
  busPort,
  configFile,
  certificate,
}: Pick<StartedNode, 'port' | 'busPort' | 'configFile' | 'certificate'>): string[] {
  const settings = {
    'cluster-enabled': 'yes',
    'cluster-config-file': configFile,
    'cluster-port': String(busPort),
    'cluster-node-timeout': String(nodeTimeoutMs),
    // The other masters serve on while one is gone.
    'cluster-require-full-coverage': 'no',
    // A replica takes over however long its master has been silent, and without waiting for others to join it.
    'cluster-replica-validity-factor': '0',
    'repl-diskless-sync-delay': '0',
    ...(certificate && { ...encryptedOn(port, certificate), 'tls-cluster': 'yes', 'tls-replication': 'yes' }),
  }
  return argumentsFor(settings)
}

function urlOf(port: number, certificate: Certificate | undefined): string {
  return `${certificate === undefined ? 'redis' : 'rediss'}://127.0.0.1:${port}`
}

function socketOf(certificate: Certificate | undefined) {
  return certificate === undefined ? {} : { tls: true as const, ca: certificate.cert }
}

function adminOf(port: number, certificate: Certificate | undefined) {
  const admin = createClient({
    url: urlOf(port, certificate),
    disableOfflineQueue: true,
    socket: { ...socketOf(certificate), reconnectStrategy: 50 },
  })
  admin.on('error', () => undefined)
  return admin
}

async function knows(admin: ClusterNode['admin'], fact: string): Promise<boolean> {
  return (await admin.clusterInfo()).includes(fact)
}

async function follows(admin: ClusterNode['admin']): Promise<boolean> {
  return (await admin.info('replication')).includes('master_link_status:up')
}

async function offsetOf(admin: ClusterNode['admin'], name: string): Promise<number> {
  return Number(new RegExp(`${name}:(\\d+)`).exec(await admin.info('replication'))?.[1])
}

async function everyNode<N extends ClusterNode>(nodes: readonly N[], holds: (node: N) => Promise<boolean>) {
  return (await Promise.all(nodes.map(holds))).every(Boolean)
}

/* The Cluster does not tell when it is done. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const latest = performance.now() + 30_000
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > latest) throw new Error(`It took too long until ${what}.`)
    await pause(20)
  }
}
