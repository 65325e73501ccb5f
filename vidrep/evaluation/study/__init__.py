"""A study of few labels: methods on the same draws of labeled videos, measured on the same test videos."""
