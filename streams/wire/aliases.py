"""Other spellings that are taken at the door: GA4's and Segment's names of events and fields.

Sources: developers.google.com/analytics (GA4 ecommerce), Twilio Segment spec v2 (RudderStack, PostHog send the same).
"""

import re

from recsys.events import Action

ACTION_NAMES: dict[str, Action] = {
    **{action.value: action for action in Action},
    # GA4
    "view_item_list": Action.IMPRESSION,
    "view_promotion": Action.IMPRESSION,
    "select_item": Action.CLICK,
    "select_promotion": Action.CLICK,
    "view_item": Action.VIEW,
    "add_to_wishlist": Action.LIKE,
    "refund": Action.RETURN,
    "view_search_results": Action.SEARCH,
    # Segment, in the form `spelled` gives
    "product_list_viewed": Action.IMPRESSION,
    "promotion_viewed": Action.IMPRESSION,
    "product_clicked": Action.CLICK,
    "promotion_clicked": Action.CLICK,
    "product_viewed": Action.VIEW,
    "product_added": Action.ADD_TO_CART,
    "product_removed": Action.REMOVE_FROM_CART,
    "product_added_to_wishlist": Action.LIKE,
    "order_completed": Action.PURCHASE,
    "order_refunded": Action.RETURN,
    "product_shared": Action.SHARE,
    "product_reviewed": Action.COMMENT,
    "products_searched": Action.SEARCH,
}

EVENT_ID = ("event_id", "eventId", "messageId", "message_id")
USER_ID = ("user_id", "userId", "anonymousId", "anonymous_id", "client_id", "user_pseudo_id")
SESSION_ID = ("session_id", "sessionId")
GA_SESSION_ID = "ga_session_id"
"""A number in GA4, unlike all other ids."""
TIME = ("ts", "timestamp", "originalTimestamp")
MICROSECONDS = ("timestamp_micros", "event_timestamp")
EVENT_NAME = ("type", "event", "event_name", "name")
BODY = ("params", "properties", "ecommerce")
"""Where GA4 and Segment put what we have at the top."""
ITEM_ID = ("item_id", "product_id", "sku", "id")
ITEMS = ("items", "products")
QUERY = ("query", "search_term", "search_query")
PLACEMENT = ("placement", "item_list_name", "list_name", "list")
POSITION = ("position", "index")
REC_ID = ("rec_id", "item_list_id", "list_id")

TITLE = ("title", "item_name", "name")
BRAND = ("brand", "item_brand")
CATEGORY = ("category", "item_category", "product_type")
DEEPER_CATEGORIES = ("item_category2", "item_category3", "item_category4", "item_category5")
IMAGES = ("image", "images", "image_url", "image_link")
GROUP_ID = ("group_id", "item_group_id")
URL = ("url", "link")

_SEPARATORS = re.compile(r"[\s_-]+")
_VERSION = re.compile(r"v\d+")


def action_named(name: str) -> Action | None:
    """The action of an event's name in any spelling: `Product Viewed`, `select_item`, `purchase`."""
    return ACTION_NAMES.get(name) or ACTION_NAMES.get(_SEPARATORS.sub("_", name.strip().lower()))


def action_of_cloud_event(ce_type: str) -> Action | None:
    """The action of a CloudEvents type, such as `shop.event.view_item.v1`."""
    parts = [part for part in ce_type.split(".") if not _VERSION.fullmatch(part)]
    return action_named(parts[-1]) if parts else None
