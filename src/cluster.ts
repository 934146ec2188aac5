/**
 * A channel between the workers of node:cluster, without any server.
 *
 * @module ws-session-bridge/cluster
 */
export { clusterChannel } from './channel/cluster-channel.js'
export type { ClusterChannelOptions } from './channel/cluster-channel.js'
export type { Channel } from './channel/channel.js'
