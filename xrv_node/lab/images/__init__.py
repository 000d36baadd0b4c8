"""Any network on a user's own images, without a node: what the command line and programs call.

Each function takes files and folders and yields a result, or an ``Unread``, for each file, in order.
"""
