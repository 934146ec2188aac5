/*
 * The door `ws-session-bridge/cluster`: a channel between the workers of node:cluster, without any server.
 */
export { clusterChannel } from './channel/cluster-channel.js'
export type { ClusterChannelOptions } from './channel/cluster-channel.js'
export type { Channel } from './channel/channel.js'
