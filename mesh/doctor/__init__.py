"""What is wrong with this machine or this configuration, and what to do about it?"""
