/**
 * What a connection carries, and what carries it: types alone.
 *
 * @import * as Api from "./hewston-bff.js"
 * @import * as Messages from "./messages.js"
 * @import { HewstonError } from "./errors.js"
 * @import { ServerMessage } from "./transport.js"
 */

/** @typedef {Pick<Messages.Ctrl, "cmd"> & {pos?: Api.Position, val?: number}} Command */
/** @typedef {Omit<Messages.Subscribe, "t" | "id"> | Omit<Messages.SubscribeEvents, "t" | "id">} Request */
/** @typedef {Messages.RunNews | Messages.UpstreamNews | Messages.SourceNews} News */

/**
 * What a carrier knows of a subscription, whatever it is to. It outlives connections.
 * @typedef {object} Carried
 * @property {Carrier | null} carrier
 * @property {() => Request} request the members of `subscribe` that say what is wanted, and where to go on
 * @property {(news: News) => boolean} hears whether news that name no subscription concern it
 * @property {(message: Messages.Subscribed | Messages.EventsSubscribed) => void} subscribed
 * @property {(message: ServerMessage, answers?: string | null) => void} accept
 *   Any other message of its own; `answers`: the command that it answers.
 * @property {(message: Messages.Err) => boolean} isNews whether an `err` is no refusal
 * @property {() => void} lost the connection is gone
 * @property {(error: HewstonError) => void} fail it will not come back
 * @property {(type: "error", error: HewstonError) => void} emit
 */

/**
 * One connection for all subscriptions, or one each.
 * @typedef {object} Carrier
 * @property {(subscription: Carried) => void} add
 * @property {(subscription: Carried) => void} remove
 * @property {(subscription: Carried, command: Command) => boolean} send
 *   False: not now. What was asked then is part of how the subscription is made again.
 */

export {};
