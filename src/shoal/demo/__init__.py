"""The demo farm: two farms, 24 real LwM2M clients with believable water, and stories that happen by themselves.

It is a customer of Shoal like any other: it knows the LwM2M library and the API over HTTP, and nothing else.
"""
