"""Ids in paths: whatever a shop calls its users and products, slashes and line ends too, reaches the route."""

from starlette.convertors import Convertor, register_url_convertor


class IdConvertor(Convertor[str]):
    """All there is up to the next part of the path; the route says what is no id, where the router would say 404."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """The id as it stands in the path."""
        return value

    def to_string(self, value: str) -> str:
        """The same the other way."""
        return value


register_url_convertor("id", IdConvertor())
USER_ID, ITEM_ID = "{user_id:id}", "{item_id:id}"
"""What stands in a route's path for an id."""
